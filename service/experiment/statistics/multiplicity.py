"""Several tests at once: p-values adjusted, to be compared with α as they are.

    Holm (any of them wrong, at most α)             sort p up;  adjusted_(i) = max over j ≤ i of (m - j + 1)·p_(j)
    Benjamini-Hochberg (share of the found wrong)   sort p up;  adjusted_(i) = min over j ≥ i of m/j·p_(j)

Holm for metrics and arms that decide, Benjamini-Hochberg for slices that are explored.

Source: Holm 1979; Benjamini and Hochberg 1995; reference section 1.4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.experiment.statistics.arrays import Floats
from service.experiment.statistics.errors import StatisticsError


def holm(p_M: ArrayLike) -> Floats:
    """Adjusted p, in the order given; controls the chance of any false finding under any dependence."""
    p_M, order_M = _sorted(p_M)
    steps_M = np.arange(p_M.size, 0, -1)
    return _back(np.maximum.accumulate(steps_M * p_M), order_M)


def benjamini_hochberg(p_M: ArrayLike) -> Floats:
    """Adjusted p, in the order given; controls the expected share of false findings under positive dependence."""
    p_M, order_M = _sorted(p_M)
    raised_M = p_M.size / np.arange(1, p_M.size + 1) * p_M
    return _back(np.minimum.accumulate(raised_M[::-1])[::-1], order_M)


def _sorted(p_M: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    p_M = np.asarray(p_M, dtype=np.float64)
    if p_M.ndim != 1 or not ((p_M >= 0) & (p_M <= 1)).all():
        raise StatisticsError(f"p-values: got {p_M.tolist()}, expected one axis of numbers from 0 to 1")
    order_M = np.argsort(p_M, kind="stable")
    return p_M[order_M], order_M


def _back(adjusted_M: Floats, order_M: NDArray[np.int64]) -> Floats:
    result_M = np.empty_like(adjusted_M)
    result_M[order_M] = np.minimum(adjusted_M, 1.0)
    return result_M
