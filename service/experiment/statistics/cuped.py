"""CUPED: what a unit did before the experiment explains part of what it does in it, whichever arm it is in.

    Y_i = (M_i - R·D_i) / D̄,    X_i the same of the time before,    θ = cov(Y, X) / var(X)
    R_adj = R - θ·(R_before - R_before of both arms),    Var(R_adj) = var(Y - θX) / n

The difference of the arms is (R_T - R_C) - θ·(R_before_T - R_before_C): unbiased for any θ, since chance alone makes
the arms differ before. θ comes from both arms pooled; variances linearise around the arm's own R, as `ratio` does.
Variance shrinks by the squared correlation of Y and X. A unit without history has X_i = 0.

CUPAC is the same with a model's expectation in place of clicks: the sum of probabilities over impressions before. What
comes after the first exposure is no covariate: the arm may have changed it.

Source: reference section 1.4; Deng, Xu, Kohavi, Walker, WSDM 2013 (CUPED); Tang et al. 2020 (CUPAC).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from service.experiment.statistics.arrays import Floats, numbers, same_length
from service.experiment.statistics.effect import Effect, Estimate, difference, relative
from service.experiment.statistics.errors import StatisticsError


class History(NamedTuple):
    """One arm's units, in the experiment and before it."""

    clicks_U: ArrayLike
    impressions_U: ArrayLike
    before_U: ArrayLike
    """Covariate's numerator before the first exposure: clicks (CUPED) or expected clicks (CUPAC); 0 without history."""
    impressions_before_U: ArrayLike
    """Covariate's denominator; 0 without history."""


class Adjusted(NamedTuple):
    """What the arms differ by, once their pasts are accounted for."""

    absolute: Effect
    """Difference of adjusted CTRs."""
    lift: Effect
    """Their ratio less one."""
    theta: float
    """How much of a difference before is expected to be seen again."""
    variance_reduction: float
    """1 - variance of the adjusted over that of the plain difference; negative only by chance."""
    covered: float
    """Share of units that have a history."""


def adjusted(treatment: History, control: History, *, alpha: float = 0.05) -> Adjusted:
    """The effect after CUPED or CUPAC.

    Raises:
        StatisticsError: an arm has fewer than two units, no impressions, or none before; or as `ratio.lift`.
    """
    t, c = _arrays(treatment, "the treatment"), _arrays(control, "the control")
    pooled = _Arm(*(np.concatenate(both) for both in zip(t, c, strict=True)))
    theta, before = _theta(pooled), float(pooled.x_U.sum() / pooled.w_U.sum())
    adjusted_t, adjusted_c = _estimate(t, theta, before), _estimate(c, theta, before)
    plain = _estimate(t, 0.0, before).variance + _estimate(c, 0.0, before).variance
    absolute = difference(adjusted_t, adjusted_c, alpha=alpha, method="cuped")
    return Adjusted(
        absolute=absolute,
        lift=relative(adjusted_t, adjusted_c, alpha=alpha, method="cuped"),
        theta=theta,
        variance_reduction=1 - absolute.se**2 / plain,
        covered=float(np.count_nonzero(pooled.w_U) / pooled.w_U.size),
    )


class _Arm(NamedTuple):
    m_U: Floats
    d_U: Floats
    x_U: Floats
    w_U: Floats


def _arrays(history: History, arm: str) -> _Arm:
    named = {name: numbers(f"{arm}: {name}", values) for name, values in history._asdict().items()}
    same_length(**named)
    checked = _Arm(*(values.astype(np.float64) for values in named.values()))
    if checked.m_U.size < 2:  # noqa: PLR2004
        raise StatisticsError(f"{arm} has {checked.m_U.size} units: expected 2 or more")
    for denominator_U, when in ((checked.d_U, ""), (checked.w_U, " before their first exposure")):
        if denominator_U.sum() <= 0:
            raise StatisticsError(
                f"{arm} has {denominator_U.size} units without impressions{when}: expected at least one"
            )
    return checked


def _linear(numerator_U: Floats, denominator_U: Floats) -> Floats:
    """Each unit's share in how far a ratio is from its expectation; sums to zero."""
    linear_U: Floats = (numerator_U - numerator_U.sum() / denominator_U.sum() * denominator_U) / denominator_U.mean()
    return linear_U


def _theta(pooled: _Arm) -> float:
    y_U, x_U = _linear(pooled.m_U, pooled.d_U), _linear(pooled.x_U, pooled.w_U)
    spread = float(x_U @ x_U)
    return float(y_U @ x_U) / spread if spread > 0 else 0.0


def _estimate(arm: _Arm, theta: float, before: float) -> Estimate:
    left_U = _linear(arm.m_U, arm.d_U) - theta * _linear(arm.x_U, arm.w_U)
    n = left_U.size
    value = arm.m_U.sum() / arm.d_U.sum() - theta * (arm.x_U.sum() / arm.w_U.sum() - before)
    return Estimate(float(value), float(left_U @ left_U) / (n - 1) / n, n)
