from collections.abc import Callable
from fractions import Fraction
from math import inf, nan, sqrt
from typing import Any

import numpy as np
import pytest
import tea_tasting
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from service.experiment.statistics.effect import Estimate, difference, fieller, relative
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.ratio import RatioSums, absolute_effect, lift, ratio

UNITS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 30)).map(lambda u: (min(u), u[1])), min_size=2, max_size=50
)


def sums(pair: tuple[Any, Any]) -> RatioSums:
    return RatioSums.of(*pair)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_differences_agree_with_tea_tasting(arms: Any, tea: Callable[..., Any], alternative: Any) -> None:
    treatment, control = arms
    names = ("clicks", "impressions")
    metric = tea_tasting.RatioOfMeans(*names, alternative=alternative)
    oracle = tea(metric, dict(zip(names, treatment, strict=True)), dict(zip(names, control, strict=True)))
    ours = absolute_effect(sums(treatment), sums(control))
    assert ours.estimate == pytest.approx(oracle.effect_size, rel=1e-9)
    assert ours.estimate / ours.se == pytest.approx(oracle.statistic, rel=1e-9)
    p = {"two-sided": ours.p, "greater": ours.p_greater, "less": ours.p_less}[alternative]
    assert p == pytest.approx(oracle.pvalue, rel=1e-9)
    if alternative == "two-sided":
        assert ours.interval == pytest.approx((oracle.effect_size_ci_lower, oracle.effect_size_ci_upper), rel=1e-9)
        relative_effect = lift(sums(treatment), sums(control)).estimate
        assert relative_effect == pytest.approx(oracle.rel_effect_size, rel=1e-9)


def test_one_impression_per_unit_is_welchs_test_of_means(arms: Any) -> None:
    """Scipy and statsmodels know this case: every denominator is one."""
    (treatment, _), (control, _) = arms
    ours = absolute_effect(sums((treatment, np.ones_like(treatment))), sums((control, np.ones_like(control))))
    oracle = stats.ttest_ind(treatment, control, equal_var=False)
    compared = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    assert (ours.estimate / ours.se, ours.p, ours.dof) == pytest.approx(
        (oracle.statistic, oracle.pvalue, oracle.df), rel=1e-9
    )
    assert ours.interval == pytest.approx(compared.tconfint_diff(usevar="unequal"), rel=1e-9)
    assert ours.interval == pytest.approx(tuple(oracle.confidence_interval()), rel=1e-9)


def test_a_lift_is_the_ratio_less_one_with_the_delta_methods_variance(arms: Any) -> None:
    t, c = (ratio(sums(arm)) for arm in arms)
    ours = lift(*map(sums, arms))
    assert ours.method == "delta"
    assert ours.estimate == pytest.approx((t.value - c.value) / c.value, rel=1e-12)
    assert ours.se**2 == pytest.approx(t.variance / c.value**2 + c.variance * t.value**2 / c.value**4, rel=1e-12)


def test_the_variance_is_that_of_linearised_units_written_out(arms: Any) -> None:
    m_U, d_U = arms[0]
    mean_d, value, n = d_U.mean(), m_U.sum() / d_U.sum(), m_U.size
    cov = np.cov(m_U, d_U)
    written = (cov[0, 0] - 2 * value * cov[0, 1] + value**2 * cov[1, 1]) / (n * mean_d**2)
    assert ratio(sums(arms[0])).variance == pytest.approx(written, rel=1e-12)


def test_sums_of_integers_lose_nothing_however_large() -> None:
    """A hundred million units that all but agree: floating point would cancel to nothing."""
    n = 10**8
    whole = RatioSums(n, 10**6 * n + 1, 10**7 * n, 10**12 * n + 2 * 10**6 + 1, 10**14 * n, 10**13 * n + 10**7)
    m, d, mm, dd, md = (Fraction(number) for number in whole[1:])
    exact = (mm - 2 * m / d * md + (m / d) ** 2 * dd) / (n - 1) / n / (d / n) ** 2
    assert ratio(whole).variance == pytest.approx(float(exact), rel=1e-15)


@given(UNITS, UNITS)
def test_sums_of_two_groups_of_units_are_the_sums_of_all(one: Any, other: Any) -> None:
    together = RatioSums.of(*np.transpose(one + other))
    assert RatioSums.of(*np.transpose(one)).plus(RatioSums.of(*np.transpose(other))) == together


@given(UNITS, st.randoms())
def test_rows_in_any_order_give_their_units_sums(units: Any, random: Any) -> None:
    rows = [(unit, clicks if row == 0 else 0) for unit, (clicks, n) in enumerate(units) for row in range(n)]
    random.shuffle(rows)
    seen = [(clicks, n) for clicks, n in units if n]
    if rows:
        assert RatioSums.of_rows(*np.transpose(rows)) == RatioSums.of(*np.transpose(seen))


@given(UNITS, UNITS, st.integers(2, 1000))
def test_effects_do_not_depend_on_the_unit_of_measure_and_turn_with_the_arms(one: Any, other: Any, times: int) -> None:
    a, b = (RatioSums.of(*np.transpose(units)) for units in (one, other))
    try:
        plain = lift(a, b)
    except StatisticsError:
        return
    scaled = [RatioSums.of(np.transpose(units)[0] * times, np.transpose(units)[1]) for units in (one, other)]
    assert lift(*scaled).estimate == pytest.approx(plain.estimate, rel=1e-9, abs=1e-12)
    assert lift(*scaled).interval == pytest.approx(plain.interval, rel=1e-6, abs=1e-9)
    there, back = absolute_effect(a, b), absolute_effect(b, a)
    assert (there.estimate, there.p, there.p_greater) == pytest.approx((-back.estimate, back.p, back.p_less))


@given(UNITS, UNITS)
def test_every_answer_is_a_number_or_says_what_is_missing(one: Any, other: Any) -> None:
    for effect_of in (absolute_effect, lift):
        try:
            effect = effect_of(RatioSums.of(*np.transpose(one)), RatioSums.of(*np.transpose(other)))
        except StatisticsError:
            continue
        low, high = effect.interval
        assert low <= effect.estimate <= high
        assert not any(np.isnan([effect.estimate, effect.se, effect.dof, effect.p, low, high]))
        assert effect.bounded == (low > -inf)


@pytest.mark.parametrize(
    ("treatment", "control", "said"),
    [
        (([1, 0], [5, 5]), ([], []), "the control has 0 units"),
        (([1], [5]), ([1, 0], [5, 5]), "the treatment has 1 units"),
        (([0, 0], [0, 0]), ([1, 0], [5, 5]), "the treatment has 2 units without impressions"),
        (([1, 0], [5, 5]), ([0, 0], [5, 5]), "wait for its first clicks"),
        (([1, 1], [1, 1]), ([1, 1], [1, 1]), "no unit differs from another in 2 and 2 units"),
    ],
)
def test_data_that_cannot_answer_are_refused_with_what_is_missing(treatment: Any, control: Any, said: str) -> None:
    with pytest.raises(StatisticsError, match=said):
        lift(sums(treatment), sums(control))


def test_no_click_in_one_arm_still_has_a_difference() -> None:
    effect = absolute_effect(RatioSums.of([0] * 300, [10] * 300), RatioSums.of([1, 0, 0] * 100, [10] * 300))
    assert effect.estimate == pytest.approx(-1 / 30)
    assert effect.p < 1e-9


@pytest.mark.parametrize("bad", [nan, inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(StatisticsError, match="1 of 2 are not finite"):
        RatioSums.of([1.0, bad], [1, 1])
    with pytest.raises(StatisticsError, match="clicks_U 1, impressions_U 2"):
        RatioSums.of([1], [1, 2])


def test_an_alpha_that_is_no_probability_is_refused() -> None:
    with pytest.raises(StatisticsError, match="alpha is 5"):
        absolute_effect(RatioSums.of([1, 0], [5, 5]), RatioSums.of([1, 0], [5, 5]), alpha=5)


def test_fewer_than_200_units_get_fiellers_interval(arms: Any) -> None:
    (clicks_U, impressions_U), control = arms
    few = lift(RatioSums.of(clicks_U[:199], impressions_U[:199]), sums(control))
    assert (few.method, lift(RatioSums.of(clicks_U[:200], impressions_U[:200]), sums(control)).method) == (
        "fieller",
        "delta",
    )
    assert few.p == absolute_effect(RatioSums.of(clicks_U[:199], impressions_U[:199]), sums(control)).p


def test_a_noisy_control_gets_fiellers_interval_however_many_units() -> None:
    control = RatioSums.of([1] * 20 + [0] * 9980, [10] * 10_000)
    assert lift(RatioSums.of([1] * 200 + [0] * 9800, [10] * 10_000), control).method == "fieller"


ESTIMATES = st.builds(Estimate, st.floats(0.01, 1), st.floats(1e-6, 0.01), st.integers(2, 500))


@given(ESTIMATES, ESTIMATES)
def test_fiellers_ends_are_the_ratios_that_are_just_rejected(treatment: Estimate, control: Estimate) -> None:
    """The definition, solved by nothing but putting its answer in."""
    effect = fieller(treatment, control)
    t = stats.t.isf(0.025, effect.dof)
    for end in effect.interval:
        if effect.bounded:
            times = end + 1
            gap = abs(treatment.value - times * control.value)
            assert gap == pytest.approx(t * sqrt(treatment.variance + times**2 * control.variance), rel=1e-6)
    if effect.bounded:
        assert (effect.p < 0.05) == (effect.interval[0] > 0 or effect.interval[1] < 0)


def test_a_control_that_may_be_zero_bounds_no_ratio() -> None:
    effect = fieller(Estimate(0.1, 1e-4, 50), Estimate(0.01, 1e-4, 50))
    assert effect.interval == (-inf, inf)
    assert effect.estimate == pytest.approx(9)


def test_with_many_units_fieller_and_the_delta_method_meet(arms: Any) -> None:
    t, c = (Estimate(0.05, 1e-9, 10**6), Estimate(0.05, 1e-9, 10**6))
    assert fieller(t, c).interval == pytest.approx(relative(t, c).interval, rel=2e-3)


def test_the_interval_of_a_difference_covers_what_alpha_says() -> None:
    t, c = Estimate(0.06, 1e-6, 1000), Estimate(0.05, 1e-6, 1000)
    wide, narrow = (difference(t, c, alpha=alpha) for alpha in (0.01, 0.2))
    assert wide.interval[0] < narrow.interval[0] < narrow.interval[1] < wide.interval[1]
    assert difference(t, c, alpha=wide.p).interval[0] == pytest.approx(0, abs=1e-12)
