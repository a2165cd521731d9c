"""Teachers: whatever gives a logit for a row, trained here or elsewhere."""
