"""Golden values: reference section 1.4 of the study this follows (power, duration)."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest
import tea_tasting
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower

from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.power import (
    days,
    design_effect,
    detectable_difference,
    detectable_lift,
    units_per_arm,
    variance_per_unit,
)
from service.experiment.statistics.ratio import RatioSums

CTR = 0.0497
GOLDEN = {0.01: 790_678, 0.02: 197_670, 0.05: 31_628, 0.10: 7_907}
BINOMIAL = {0.01: 300_522, 0.02: 75_131, 0.05: 12_021, 0.10: 3_006}
Z2 = 7.848879734349086
"""(z_0.975 + z_0.8)²."""


@pytest.mark.parametrize("units", [GOLDEN, BINOMIAL])
def test_golden_units_per_arm(units: dict[float, int]) -> None:
    """Reference section 1.4: R = 4.97 %; one σ² gives all four rows, clustered and binomial alike."""
    variance = units[0.01] * (0.01 * CTR) ** 2 / (2 * Z2) * (1 - 1e-9)
    for lift, expected in units.items():
        assert units_per_arm(ctr=CTR, variance_per_unit=variance, lift=lift) == expected


def test_golden_design_effect_is_what_the_binomial_formula_misses() -> None:
    """Reference section 1.4: design effect 2.63."""
    assert GOLDEN[0.01] / BINOMIAL[0.01] == pytest.approx(2.63, abs=0.005)


def test_the_design_effect_of_independent_impressions_is_one_and_of_copies_their_number() -> None:
    clicks_U = (np.random.default_rng(0).random(50_000) < CTR).astype(int)
    assert design_effect(RatioSums.of(clicks_U, np.ones_like(clicks_U))) == pytest.approx(1, rel=1e-4)
    assert design_effect(RatioSums.of(clicks_U * 7, np.full_like(clicks_U, 7))) == pytest.approx(7, rel=1e-4)


def test_units_agree_with_statsmodels_and_tea_tasting(arms: Any, tea: Callable[..., Any]) -> None:
    clicks_U, impressions_U = arms[1]
    sums = RatioSums.of(clicks_U, impressions_U)
    ctr, variance = sums.m / sums.d, variance_per_unit(sums)
    ours = units_per_arm(ctr=ctr, variance_per_unit=variance, lift=0.05)
    effect_size = 0.05 * ctr / sqrt(variance)
    statsmodels = NormalIndPower().solve_power(effect_size, alpha=0.05, power=0.8, alternative="two-sided")
    assert ours == pytest.approx(statsmodels, abs=1)
    metric = tea_tasting.RatioOfMeans("clicks", "impressions", rel_effect_size=0.05, use_t=False)
    frame = tea_tasting.aggr.Aggregates(
        count_=sums.n,
        mean_={"clicks": clicks_U.mean(), "impressions": impressions_U.mean()},
        var_={"clicks": clicks_U.var(ddof=1), "impressions": impressions_U.var(ddof=1)},
        cov_={("clicks", "impressions"): np.cov(clicks_U, impressions_U)[0, 1]},
    )
    assert 2 * ours == pytest.approx(metric.solve_power_from_aggregates(frame, "n_obs")[0].n_obs, abs=2)


@given(st.floats(0.001, 0.5), st.floats(0.001, 5), st.floats(0.001, 0.3))
def test_what_the_planned_units_find_is_what_was_planned_for(ctr: float, variance: float, lift: float) -> None:
    units = units_per_arm(ctr=ctr, variance_per_unit=variance, lift=lift)
    if units > 100:
        found = detectable_difference(variance_per_unit=variance, units=units)
        assert found == pytest.approx(lift * ctr, rel=0.02)
        assert found <= lift * ctr * (1 + 1e-9)


@given(st.floats(0.01, 0.5), st.floats(0.001, 0.5), st.integers(1000, 10**7))
def test_the_detectable_lift_solves_its_equation(ctr: float, variance: float, units: int) -> None:
    """L = k·√Var(L), where Var(L) grows with L itself."""
    if Z2 * variance / (units * ctr**2) < 0.9:
        lift = detectable_lift(ctr=ctr, variance_per_unit=variance, units=units)
        spread = sqrt(variance / (units * ctr**2) * (1 + (1 + lift) ** 2))
        assert lift == pytest.approx(sqrt(Z2) * spread, rel=1e-9)
        assert lift > detectable_difference(variance_per_unit=variance, units=units) / ctr


def test_too_few_units_for_any_lift_are_told_how_many_it_takes() -> None:
    with pytest.raises(StatisticsError, match="expected at least 1570") as told:
        detectable_lift(ctr=0.05, variance_per_unit=0.5, units=100)
    enough = int(str(told.value).rsplit(maxsplit=1)[-1])
    assert detectable_lift(ctr=0.05, variance_per_unit=0.5, units=enough) > 1


@pytest.mark.parametrize(
    ("units", "per_day", "ramp", "expected"),
    [(100, 1000, 1.0, 7), (7000, 1000, 1.0, 7), (7001, 1000, 1.0, 14), (7000, 1000, 0.5, 14), (63_256, 5_000, 1.0, 14)],
)
def test_days_are_whole_weeks_and_never_less_than_one(units: int, per_day: int, ramp: float, expected: int) -> None:
    assert days(units=units, units_per_day=per_day, ramp=ramp) == expected


@pytest.mark.parametrize("name", ["ctr", "variance_per_unit", "lift"])
def test_plans_from_nothing_are_refused(name: str) -> None:
    good = {"ctr": 0.05, "variance_per_unit": 0.01, "lift": 0.01}
    with pytest.raises(StatisticsError, match=f"{name}: got 0"):
        units_per_arm(**(good | {name: 0}))
    with pytest.raises(StatisticsError, match="0 < alpha < power < 1"):
        units_per_arm(**good, power=0.01)
    with pytest.raises(StatisticsError, match="CTR is 0"):
        design_effect(RatioSums.of([0, 0], [1, 1]))
