"""Offline metrics as pure functions of logits [N] and clicks [N]: ranking, likelihood, calibration.

Everything is computed in float64 from logits, so no probability is ever clipped.
"""

from training.metrics.likelihood import log_loss, normalized_entropy, sigmoid
from training.metrics.probabilities import (
    CONFIDENCE,
    Calibration,
    Reliability,
    calibration,
    calibration_band,
    click_band,
    reliability,
)
from training.metrics.ranking import GroupedAuc, auc, gauc

__all__ = [
    "CONFIDENCE",
    "Calibration",
    "GroupedAuc",
    "Reliability",
    "auc",
    "calibration",
    "calibration_band",
    "click_band",
    "gauc",
    "log_loss",
    "normalized_entropy",
    "reliability",
    "sigmoid",
]
