"""The experiment: who sees which arm, and what came of it."""
