"""What came of an experiment: numbers from the event store, a verdict on them, and three ways to read both."""
