"""What happened: exposures, answers, feedback, shadow comparisons, and every document the experiments ran under."""
