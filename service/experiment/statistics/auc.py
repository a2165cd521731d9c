"""Ranking quality: how often a clicked impression has the higher probability than one that was not.

    AUC  = P(p⁺ > p⁻) + P(p⁺ = p⁻) / 2 = (Σ midranks of the clicked - n⁺(n⁺ + 1)/2) / (n⁺·n⁻)
    V_i  of a clicked one: share of the others below it;  V_j of another: share of the clicked above it; ties are half
    Var  = n/(n - 1) · Σ over units (Σ_i (V_i - AUC)/n⁺ + Σ_j (V_j - AUC)/n⁻)²
    GAUC = Σ w_u·AUC_u / Σ w_u over units that have both

The variance is DeLong's with a unit's components added up before they are squared: a unit's impressions are alike.
Compare two models on the same impressions where there are such (shadow): that has far more power.

Source: DeLong et al. 1988; Obuchowski 1997 (clusters); Zhu et al., KDD 2017 (GAUC); reference section 1.4.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.experiment.statistics.arrays import Floats, numbers, same_length
from service.experiment.statistics.effect import Estimate, Interval, student_quantile
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.quality import labelled
from service.experiment.statistics.ratio import RatioSums, ratio


class Ranking(NamedTuple):
    """AUC or GAUC with its interval."""

    value: float
    interval: Interval
    """Clustered by unit, within 0 and 1."""
    units: int
    """Units that it rests on."""


def auc(probability_I: ArrayLike, clicked_I: ArrayLike, unit_I: ArrayLike, *, alpha: float = 0.05) -> Ranking:
    """AUC over all impressions.

    Args:
        probability_I: probability of a click of each impression; only its order counts.
        clicked_I: whether it was clicked.
        unit_I: unit of each impression, any integers.
        alpha: two-sided level of the interval.

    Raises:
        StatisticsError: none clicked, all clicked, fewer than two units, or as `quality.log_loss`.
    """
    p_I, y_I, unit_I = _labelled(probability_I, clicked_I, unit_I)
    clicked, others = int(y_I.sum()), int((~y_I).sum())
    if not clicked or not others:
        raise StatisticsError(f"AUC: {clicked} of {y_I.size} impressions clicked; expected some and not all")
    component_I = _components(p_I, y_I)
    value = float(component_I[y_I].mean())
    influence_I = (component_I - value) / np.where(y_I, clicked, others)
    influence_U = np.bincount(unit_I, influence_I)
    units = influence_U.size
    if units < 2:  # noqa: PLR2004
        raise StatisticsError(f"AUC: got {units} units, expected 2 or more to see a variance")
    return _ranking(Estimate(value, float(influence_U @ influence_U) * units / (units - 1), units), alpha)


def gauc(probability_I: ArrayLike, clicked_I: ArrayLike, unit_I: ArrayLike, *, alpha: float = 0.05) -> Ranking:
    """AUC within each unit, averaged with its impressions as weights; units without both labels say nothing.

    Raises:
        StatisticsError: fewer than two units that have both, or as `quality.log_loss`.
    """
    p_I, y_I, unit_I = _labelled(probability_I, clicked_I, unit_I)
    impressions_U, clicked_U = np.bincount(unit_I), np.bincount(unit_I, y_I).astype(np.int64)
    both_U = (clicked_U > 0) & (clicked_U < impressions_U)
    if np.count_nonzero(both_U) < 2:  # noqa: PLR2004
        found = f"{np.count_nonzero(both_U)} of {both_U.size} units"
        raise StatisticsError(f"GAUC: {found} have both clicked and other impressions, expected 2 or more")
    rank_U = np.bincount(unit_I, y_I * _midranks(p_I, unit_I))
    n_U, k_U, rank_U = impressions_U[both_U], clicked_U[both_U], rank_U[both_U]
    auc_U = (rank_U - k_U * (k_U + 1) / 2) / (k_U * (n_U - k_U))
    return _ranking(ratio(RatioSums.of(n_U * auc_U, n_U)), alpha)


def _labelled(
    probability_I: ArrayLike, clicked_I: ArrayLike, unit_I: ArrayLike
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    p_I, y_I = labelled(probability_I, clicked_I)
    unit_I = numbers("unit_I", unit_I)
    same_length(probability_I=p_I, unit_I=unit_I)
    return p_I, y_I, np.unique(unit_I, return_inverse=True)[1]


def _components(p_I: Floats, y_I: NDArray[np.bool_]) -> Floats:
    """V of each impression, from how many of either kind have each probability: one sort."""
    _, run_I = np.unique(p_I, return_inverse=True)
    clicked_R = np.bincount(run_I, y_I)
    others_R = np.bincount(run_I) - clicked_R
    below_R = np.cumsum(others_R) - others_R / 2
    above_R = clicked_R.sum() - np.cumsum(clicked_R) + clicked_R / 2
    components_I: Floats = np.where(y_I, (below_R / others_R.sum())[run_I], (above_R / clicked_R.sum())[run_I])
    return components_I


def _midranks(values_I: Floats, group_I: NDArray[np.int64]) -> Floats:
    """Ranks from 1 within each group; equal values share the mean of their ranks."""
    order_I = np.lexsort((values_I, group_I))
    sorted_I, sorted_group_I = values_I[order_I], group_I[order_I]
    new_group_I = np.diff(sorted_group_I, prepend=-1) != 0
    new_run_I = new_group_I | (np.diff(sorted_I, prepend=-np.inf) != 0)
    start_R = np.flatnonzero(new_run_I)
    end_R = np.append(start_R[1:], values_I.size)
    run_I = np.cumsum(new_run_I) - 1
    before_I = np.maximum.accumulate(np.where(new_group_I, np.arange(values_I.size), 0))
    ranks_I = np.empty(values_I.size)
    ranks_I[order_I] = ((start_R + end_R + 1) / 2)[run_I] - before_I
    return ranks_I


def _ranking(estimate: Estimate, alpha: float) -> Ranking:
    half = student_quantile(estimate.units - 1, alpha) * sqrt(estimate.variance)
    return Ranking(estimate.value, (max(0.0, estimate.value - half), min(1.0, estimate.value + half)), estimate.units)
