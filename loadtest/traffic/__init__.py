"""Traffic with a known truth: users who see rankings and click with probabilities that are known exactly."""
