"""Where a sample ratio mismatch comes from: a worker, a model version, an hour, a client.

Each level of each dimension is judged by itself with χ², and the units without it by the rest: an assignment gone wrong
everywhere leaves every level slightly off, a cause leaves one level far off and the rest as promised. A dimension must
be known before or apart from the arm's doing: levels that an arm brings about itself, its model's version among them,
always deviate.

Source: reference section 1.4 (SRM); Fabijan et al., "Diagnosing sample ratio mismatch", KDD 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.multiplicity import holm
from service.experiment.statistics.srm import chi_square, normal_shares

LEAST_EXPECTED = 5.0
"""χ² wants so many units expected in each arm; levels with fewer are not judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviation:
    """One level of one dimension, such as hour 13 or worker 2."""

    dimension: str
    level: str
    counts: tuple[int, ...]
    """Units in each arm."""
    p: float
    """χ² of this level alone."""
    p_adjusted: float
    """The same after Holm over all levels of all dimensions."""
    p_rest: float
    """χ² of all units but this level's: an alarm that is over without it came from it. 1 if there are no others."""


def breakdown(
    dimensions: Mapping[str, Sequence[object] | NDArray[np.generic]], arm_U: ArrayLike, shares_K: ArrayLike
) -> list[Deviation]:
    """Judge every level of every dimension by itself, the most deviating first.

    Args:
        dimensions: name → level of each unit: worker, hour of first exposure, client; of one type each, to be sorted.
        arm_U: arm of each unit, 0 to K - 1.
        shares_K: what each arm was promised: weights of any sum.

    Returns:
        One entry per level in which every arm can expect five units.

    Raises:
        StatisticsError: a dimension of another length, an arm without a share.
    """
    shares_K, arm_U = normal_shares(shares_K), np.asarray(arm_U, dtype=np.int64)
    if arm_U.size and not 0 <= arm_U.min() <= arm_U.max() < shares_K.size:
        raise StatisticsError(f"arm_U holds {arm_U.min()} to {arm_U.max()}: expected 0 to {shares_K.size - 1}")
    cells = [
        (dimension, level, counts_K)
        for dimension, level_U in dimensions.items()
        for level, counts_K in _counts(dimension, np.asarray(level_U), arm_U, shares_K.size)
        if counts_K.sum() * shares_K.min() >= LEAST_EXPECTED
    ]
    all_K = np.bincount(arm_U, minlength=shares_K.size)
    p_F = [chi_square(counts_K, shares_K) for _, _, counts_K in cells]
    found = [
        Deviation(
            dimension=dimension,
            level=level,
            counts=tuple(counts_K.tolist()),
            p=p,
            p_adjusted=adjusted,
            p_rest=chi_square(all_K - counts_K, shares_K) if (all_K - counts_K).any() else 1.0,
        )
        for (dimension, level, counts_K), p, adjusted in zip(cells, p_F, holm(p_F).tolist(), strict=True)
    ]
    return sorted(found, key=lambda deviation: deviation.p)


def _counts(
    dimension: str, level_U: NDArray[np.generic], arm_U: NDArray[np.int64], arms: int
) -> list[tuple[str, NDArray[np.int64]]]:
    """Units of each level in each arm."""
    if level_U.shape != arm_U.shape:
        raise StatisticsError(
            f"dimension {dimension!r} has {level_U.size} units, arm_U {arm_U.size}: expected the same"
        )
    levels, code_U = np.unique(level_U, return_inverse=True)
    counts_LK = np.bincount(code_U * arms + arm_U, minlength=levels.size * arms).reshape(-1, arms)
    return [(str(level), counts_K) for level, counts_K in zip(levels, counts_LK, strict=True)]
