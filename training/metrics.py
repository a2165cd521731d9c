"""Offline metrics as pure functions of logits [N] and clicks [N].

Everything is computed in float64 from logits, so no probability is ever clipped.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def auc(logits_N: Floats, clicks_N: Floats) -> float:
    """Probability that a clicked row is ranked above one that was not; ties count half.

    Mann-Whitney U from mid-ranks, O(N log N).

    Raises:
        ValueError: all rows clicked or none: there is no pair to rank.
    """
    clicked_N = np.asarray(clicks_N) > 0
    positives = int(clicked_N.sum())
    negatives = clicked_N.size - positives
    if positives == 0 or negatives == 0:
        raise ValueError(f"AUC needs clicked and unclicked rows: got {positives} clicked of {clicked_N.size}")
    _, position_N, counts = np.unique(logits_N, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = mid_ranks[position_N][clicked_N].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(logits_N: Floats, clicks_N: Floats) -> float:
    """Mean of ln(1 + e^z) - y·z, natural logarithm: eq. 13 of KD-DAGFM, from logits."""
    logits = np.asarray(logits_N, np.float64)
    return float(np.mean(np.logaddexp(0.0, logits) - np.asarray(clicks_N, np.float64) * logits))


def sigmoid(logits_N: Floats) -> npt.NDArray[np.float64]:
    """Probabilities [N] of logits [N], without overflow."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits_N, np.float64)))


def calibration(logits_N: Floats, clicks_N: Floats) -> float:
    """Sum of probabilities over clicks; 1.0 is perfect. Raises ValueError if nothing was clicked."""
    clicks = float(np.sum(clicks_N))
    if clicks == 0:
        raise ValueError(f"calibration needs at least one click: got 0 of {np.size(clicks_N)} rows")
    return float(sigmoid(logits_N).sum() / clicks)
