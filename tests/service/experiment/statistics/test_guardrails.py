from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from service.experiment.statistics.effect import Effect, Estimate, difference
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.guardrails import Outcome, calibration_rise, non_inferiority
from service.experiment.statistics.ratio import RatioSums, absolute_effect

PLANNED = 2000


def effect(estimate: float, se: float = 0.01) -> Effect:
    return difference(Estimate(estimate, se**2 / 2, 1000), Estimate(0, se**2 / 2, 1000))


@pytest.mark.parametrize(
    ("estimate", "outcome"),
    [
        (-0.05, Outcome.PASS),
        (0.0, Outcome.PASS),
        (0.02, Outcome.UNDECIDED),
        (0.04, Outcome.UNDECIDED),
        (0.06, Outcome.FAIL),
    ],
)
@pytest.mark.parametrize("harm", ["rise", "drop"])
def test_outcome_by_where_the_interval_lies_to_the_margin(
    estimate: float, outcome: Outcome, harm: Literal["rise", "drop"]
) -> None:
    signed = estimate if harm == "rise" else -estimate
    assert non_inferiority(effect(signed), 0.03, harm=harm, planned=PLANNED).outcome is outcome


def test_the_one_sided_p_agrees_with_statsmodels() -> None:
    generator = np.random.default_rng(0)
    slow, fast = generator.normal(1.02, 0.2, 500), generator.normal(1.0, 0.2, 400)
    sums = [RatioSums.of(values, np.ones_like(values)) for values in (slow, fast)]
    compared = CompareMeans(DescrStatsW(slow), DescrStatsW(fast))
    _, p, _ = compared.ttest_ind(alternative="smaller", usevar="unequal", value=0.03)
    ours = non_inferiority(absolute_effect(sums[0], sums[1]), 0.03, harm="rise", planned=PLANNED)
    assert ours.p == pytest.approx(p, rel=1e-9)
    assert ours.p == pytest.approx(
        stats.ttest_ind(slow - 0.03, fast, equal_var=False, alternative="less").pvalue, rel=1e-9
    )


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.05))
def test_passing_is_a_small_p_and_failing_a_large_one(estimate: float, margin: float) -> None:
    judged = non_inferiority(effect(estimate), margin, harm="rise", planned=PLANNED)
    if abs(judged.p - 0.025) > 1e-9 and abs(judged.p - 0.975) > 1e-9:
        assert (judged.outcome is Outcome.PASS) == (judged.p < 0.025)
        assert (judged.outcome is Outcome.FAIL) == (judged.p > 0.975)


def test_deterioration_takes_more_than_the_fixed_interval_and_a_breach_more_than_that() -> None:
    by_harm = [non_inferiority(effect(harm), 0.03, harm="rise", planned=PLANNED) for harm in (0.025, 0.035, 0.07)]
    assert [judged.deteriorated for judged in by_harm] == [False, True, True]
    assert [judged.breached for judged in by_harm] == [False, False, True]
    assert by_harm[0].interval[0] > 0  # looked at once, it would have been called


def test_harm_by_dropping_turns_the_interval() -> None:
    judged = non_inferiority(effect(-0.02), 0.03, harm="drop", planned=PLANNED)
    assert judged.harm == 0.02
    assert judged.interval == pytest.approx((0.02 - 0.0196, 0.02 + 0.0196), abs=1e-4)
    assert judged.anytime[0] < judged.interval[0] < judged.interval[1] < judged.anytime[1]


@pytest.mark.parametrize("margin", [0, -0.01, float("nan")])
def test_a_margin_of_nothing_is_refused(margin: float) -> None:
    with pytest.raises(StatisticsError, match="expected above 0"):
        non_inferiority(effect(0.0), margin, harm="rise", planned=PLANNED)


def arm(generator: np.random.Generator, units: int, calibration: float) -> RatioSums:
    expected_U = generator.gamma(2, 1, units)
    return RatioSums.of(expected_U * calibration, generator.poisson(expected_U))


def test_calibration_rises_by_its_distance_from_one_on_either_side() -> None:
    generator = np.random.default_rng(4)
    for off in (0.8, 1.2):
        rise = calibration_rise(arm(generator, 20_000, off), arm(generator, 20_000, 1.1))
        assert rise.estimate == pytest.approx(0.1, abs=0.02)
        assert rise.alpha == 0.025


def test_the_calibration_guardrail_keeps_its_level_where_the_absolute_value_bends() -> None:
    """The control is exactly calibrated, the treatment worse by exactly the margin: passing is an error, 2.5 % at most.

    With the plain interval it would be twice that.
    """
    generator = np.random.default_rng(5)
    passed = {0.025: 0, 0.05: 0}
    for _ in range(3000):
        t, c = arm(generator, 400, 1.1), arm(generator, 400, 1.0)
        rise = calibration_rise(t, c)
        for alpha in passed:
            effect_at = _at(rise, alpha)
            passed[alpha] += non_inferiority(effect_at, 0.1, harm="rise", planned=800).outcome is Outcome.PASS
    assert passed[0.025] / 3000 < 0.031
    assert passed[0.05] / 3000 > 0.035


def _at(rise: Effect, alpha: float) -> Any:
    spread = Estimate(0, rise.se**2 / 2, rise.units // 2)
    return difference(spread._replace(value=rise.estimate), spread, alpha=alpha)
