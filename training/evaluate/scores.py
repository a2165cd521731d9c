"""Every metric of some rows, as plain numbers that JSON can hold; what the rows cannot tell is None."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from service.bundle import FIRST_VALUE_ID
from training.metrics import GroupedAuc, auc, calibration_band, gauc, log_loss, normalized_entropy, reliability

Floats = npt.NDArray[np.floating]
Groups = npt.NDArray[np.integer]


def scores(logits_N: Floats, clicks_N: Floats, groups_N: Groups | None = None) -> dict[str, float | None]:
    """Name → value: auc, gauc, log_loss, normalized_entropy, calibration.

    Args:
        logits_N: of one model.
        clicks_N: 1 clicked, 0 not.
        groups_N: ids of the field that rows are ranked within, if there is one; missing and unknown are no group.
    """
    clicks = int(np.sum(clicks_N))
    both = 0 < clicks < len(clicks_N)
    found, ranked = calibration_band(logits_N, clicks_N), grouped(logits_N, clicks_N, groups_N)
    return {
        "auc": auc(logits_N, clicks_N) if both else None,
        "gauc": None if ranked is None else ranked.value,
        "log_loss": log_loss(logits_N, clicks_N),
        "normalized_entropy": normalized_entropy(logits_N, clicks_N) if both else None,
        "calibration": found.ratio if clicks else None,
    }


def chance(logits_N: Floats, clicks_N: Floats) -> dict[str, Any]:
    """What chance allows the calibration to be: expected clicks, null band of the ratio, whether it lies inside."""
    found = calibration_band(logits_N, clicks_N)
    low, high = found.band
    return {"expected_clicks": found.expected, "null_band": [low, _finite(high)], "by_chance": found.by_chance}


def bins(logits_N: Floats, clicks_N: Floats) -> dict[str, Any]:
    """The reliability diagram in numbers, and the calibration error with what chance alone makes of it."""
    found = reliability(logits_N, clicks_N)
    columns = {"predicted": found.predicted_B, "observed": found.observed_B, "rows": found.rows_B}
    columns |= {"low": found.band_B2[:, 0], "high": found.band_B2[:, 1]}
    return {
        "calibration_error": found.error,
        "calibration_error_by_chance": found.error_by_chance,
        "bins": {name: column_B.tolist() for name, column_B in columns.items()},
    }


def grouped(logits_N: Floats, clicks_N: Floats, groups_N: Groups | None) -> GroupedAuc | None:
    """GAUC over known groups: rows whose group is missing or unknown are of none. None if there is none to rank in."""
    if groups_N is None:
        return None
    known_N = groups_N >= FIRST_VALUE_ID
    try:
        return gauc(logits_N[known_N], clicks_N[known_N], groups_N[known_N])
    except ValueError:
        return None


def _finite(number: float) -> float | None:
    return number if isfinite(number) else None
