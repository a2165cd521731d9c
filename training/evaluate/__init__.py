"""Evaluate: metrics of a run's models on a part of the split, overall and by slice.

The test part is read once per set of checkpoints, after everything has been decided on validation; what was read is
kept as logits, so that slices can be asked for later without scoring anything again.
"""

from training.evaluate.report import Report, evaluate_part, evaluate_slices, evaluate_test
from training.evaluate.scores import scores
from training.evaluate.slices import Slicing

__all__ = ["Report", "Slicing", "evaluate_part", "evaluate_slices", "evaluate_test", "scores"]
