"""How likely the clicks are under the probabilities: log loss, and what it is worth beside knowing nothing.

    log loss   mean of ln(1 + e^z) - y·z,  natural logarithm             (eq. 13 of KD-DAGFM, from logits)
    NE         log loss / H(c),  H(c) = -c ln c - (1 - c) ln(1 - c),  c the click rate of the same rows

Log losses of rows with different click rates do not compare; normalized entropies do: 1 is what always saying c gets.

Source: He et al., "Practical lessons from predicting clicks on ads at Facebook", ADKDD 2014, for NE.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import entr

Floats = npt.NDArray[np.floating]


def log_loss(logits_N: Floats, clicks_N: Floats) -> float:
    """Mean of ln(1 + e^z) - y·z, natural logarithm: eq. 13 of KD-DAGFM, from logits. NaN if one of them is."""
    logits = np.asarray(logits_N, np.float64)
    with np.errstate(invalid="ignore"):
        return float(np.mean(np.logaddexp(0.0, logits) - np.asarray(clicks_N, np.float64) * logits))


def normalized_entropy(logits_N: Floats, clicks_N: Floats) -> float:
    """Log loss over that of the constant click rate; lower is better, 1 is knowing nothing.

    Raises:
        ValueError: all rows clicked or none: the base rate has no entropy.
    """
    rate = float(np.mean(clicks_N, dtype=np.float64))
    if not 0 < rate < 1:
        clicks = int(np.sum(clicks_N))
        raise ValueError(f"normalized entropy needs clicked and unclicked rows: got {clicks} of {np.size(clicks_N)}")
    return log_loss(logits_N, clicks_N) / float(entr(rate) + entr(1 - rate))


def sigmoid(logits_N: Floats) -> npt.NDArray[np.float64]:
    """Probabilities [N] of logits [N], without overflow."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits_N, np.float64)))
