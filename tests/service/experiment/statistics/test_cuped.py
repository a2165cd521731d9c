from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tea_tasting

from service.experiment.statistics.cuped import History, adjusted
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.ratio import RatioSums, absolute_effect

NAMES = ("clicks", "impressions", "before", "impressions_before")


def units(seed: int, size: int, ctr: float = 0.05, *, with_history: float = 0.8) -> History:
    """Units with a past: their own CTR in both periods, some new without any."""
    generator = np.random.default_rng(seed)
    own_U = generator.beta(ctr * 10, (1 - ctr) * 10, size)
    d_U, w_U = generator.poisson(10, size), generator.poisson(20, size) * (generator.random(size) < with_history)
    return History(generator.binomial(d_U, own_U), d_U, generator.binomial(w_U, own_U), w_U)


def columns(history: History) -> dict[str, Any]:
    return dict(zip(NAMES, history, strict=True))


def test_the_adjusted_effect_agrees_with_tea_tasting(tea: Callable[..., Any]) -> None:
    treatment, control = units(1, 3000, 0.06), units(2, 2500)
    oracle = tea(tea_tasting.RatioOfMeans(*NAMES), columns(treatment), columns(control))
    ours = adjusted(treatment, control)
    assert ours.absolute.estimate == pytest.approx(oracle.effect_size, rel=1e-9)
    assert ours.absolute.estimate / ours.absolute.se == pytest.approx(oracle.statistic, rel=1e-9)
    assert ours.absolute.p == pytest.approx(oracle.pvalue, rel=1e-9)
    assert ours.absolute.interval == pytest.approx((oracle.effect_size_ci_lower, oracle.effect_size_ci_upper), rel=1e-9)
    assert ours.lift.estimate == pytest.approx(oracle.rel_effect_size, rel=1e-9)


def test_a_models_expectation_is_a_covariate_like_any_other(tea: Callable[..., Any]) -> None:
    """CUPAC: sums of probabilities, which are no integers."""
    treatment, control = units(1, 3000), units(2, 2500)
    noise = np.random.default_rng(3)
    treatment, control = (
        arm._replace(before_U=np.asarray(arm.before_U) * noise.uniform(0.5, 1, len(arm.before_U)))  # type: ignore[arg-type]
        for arm in (treatment, control)
    )
    oracle = tea(tea_tasting.RatioOfMeans(*NAMES), columns(treatment), columns(control))
    assert adjusted(treatment, control).absolute.p == pytest.approx(oracle.pvalue, rel=1e-9)


def test_the_difference_is_the_references_formula() -> None:
    """Δ_adj = (R_T - R_C) - θ·(R_before_T - R_before_C), θ = cov(Y, X) / var(X) of both arms pooled: section 1.4."""
    treatment, control = units(1, 3000, 0.06), units(2, 2500)
    m, d, x, w = (np.concatenate(both) for both in zip(treatment, control, strict=True))
    y_U, x_U = (m - m.sum() / d.sum() * d) / d.mean(), (x - x.sum() / w.sum() * w) / w.mean()
    theta = np.cov(y_U, x_U)[0, 1] / np.var(x_U, ddof=1)
    r_t, r_c, b_t, b_c = (
        np.sum(arm[i]) / np.sum(arm[i + 1]) for i, arm in ((0, treatment), (0, control), (2, treatment), (2, control))
    )
    ours = adjusted(treatment, control)
    assert ours.theta == pytest.approx(theta, rel=1e-12)
    assert ours.absolute.estimate == pytest.approx((r_t - r_c) - theta * (b_t - b_c), rel=1e-12)


def test_variance_shrinks_by_the_squared_correlation() -> None:
    treatment, control = units(1, 20_000, with_history=1), units(2, 20_000, with_history=1)
    m, d, x, w = (np.concatenate(both) for both in zip(treatment, control, strict=True))
    correlation = np.corrcoef(m - m.sum() / d.sum() * d, x - x.sum() / w.sum() * w)[0, 1]
    ours = adjusted(treatment, control)
    assert ours.variance_reduction == pytest.approx(correlation**2, abs=0.002)
    assert ours.variance_reduction > 0.2
    assert ours.covered == pytest.approx(1, abs=1e-3)


def test_a_unit_without_history_has_a_covariate_of_zero() -> None:
    """Units without a past count in the experiment and leave θ to those that have one."""
    ours = adjusted(units(1, 3000, with_history=0.5), units(2, 3000, with_history=0.5))
    assert ours.covered == pytest.approx(0.5, abs=0.03)
    assert 0 < ours.variance_reduction < adjusted(units(1, 3000), units(2, 3000)).variance_reduction


def test_a_covariate_that_explains_nothing_changes_nothing() -> None:
    """Everybody alike before: θ is zero and the effect is the plain one."""
    treatment, control = (
        arm._replace(before_U=[1] * 3000, impressions_before_U=[2] * 3000) for arm in (units(1, 3000), units(2, 3000))
    )
    ours = adjusted(treatment, control)
    plain = absolute_effect(RatioSums.of(*treatment[:2]), RatioSums.of(*control[:2]))
    assert (ours.theta, ours.variance_reduction) == (0, pytest.approx(0, abs=1e-12))
    assert (ours.absolute.estimate, ours.absolute.p) == pytest.approx((plain.estimate, plain.p), rel=1e-9)


def test_arms_without_any_history_are_refused() -> None:
    none = units(1, 100)._replace(before_U=[0] * 100, impressions_before_U=[0] * 100)
    with pytest.raises(
        StatisticsError, match="the control has 100 units without impressions before their first exposure"
    ):
        adjusted(units(1, 100), none)
    with pytest.raises(StatisticsError, match="the treatment: before_U: 1 of 100 are not finite"):
        adjusted(units(1, 100)._replace(before_U=[float("nan")] + [1.0] * 99), units(2, 100))
    with pytest.raises(StatisticsError, match="the treatment has 1 units"):
        adjusted(History([1], [2], [1], [2]), none)
