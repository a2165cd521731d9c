"""Units and days from a log: the units that differ count, not their impressions."""

from __future__ import annotations

import numpy as np
import pytest

from service.events.sql import SqlStore
from service.experiment.planning import NothingLoggedError, Traffic, plan_experiment, read_traffic
from service.experiment.statistics.ratio import RatioSums
from tests.service.experiment.report.stores import World, document, fill, happen


def traffic(units: int = 10_000, days: float = 10.0, spread: float = 0.0) -> Traffic:
    """Ten impressions each at a CTR of 5 %, alike within a unit by `spread`."""
    rng = np.random.default_rng(4)
    ctr_U = np.full(units, 0.05) if spread == 0 else rng.beta(0.05 / spread, 0.95 / spread, units)
    return Traffic(sums=RatioSums.of(rng.binomial(10, ctr_U), np.full(units, 10)), units=units, days=days)


def test_independent_impressions_need_what_the_binomial_formula_says() -> None:
    plan = plan_experiment(traffic(), lift=0.05)
    binomial = 2 * (1.959964 + 0.841621) ** 2 * 0.05 * 0.95 / 10 / (0.05 * 0.05) ** 2
    assert plan.design_effect == pytest.approx(1.0, abs=0.05)
    assert plan.asked.units_per_arm == pytest.approx(binomial, rel=0.05)


def test_impressions_that_are_alike_need_more_units() -> None:
    plan = plan_experiment(traffic(spread=0.1), lift=0.05)
    assert plan.design_effect == pytest.approx(1 + 9 * 0.1 / 1.1, rel=0.08)
    assert plan.asked.units_per_arm > 1.6 * plan_experiment(traffic(), lift=0.05).asked.units_per_arm


def test_days_are_whole_weeks_of_the_traffic_that_is_included() -> None:
    full, tenth = (plan_experiment(traffic(), lift=0.05, ramp=ramp).asked.days for ramp in (1.0, 0.1))
    needed = 2 * plan_experiment(traffic(), lift=0.05).asked.units_per_arm
    assert full == 7 * -(-needed // 7000)
    assert tenth == 7 * -(-needed // 700)


def test_more_treatments_share_the_level_and_the_traffic() -> None:
    two, four = (plan_experiment(traffic(), lift=0.05, arms=arms) for arms in (2, 4))
    assert four.asked.units_per_arm > 1.2 * two.asked.units_per_arm
    assert four.asked.days > 2 * two.asked.days
    assert four.planned_units == 2 * four.asked.units_per_arm


def test_deciding_at_any_look_needs_over_twice_the_units() -> None:
    asked = plan_experiment(traffic(), lift=0.05).asked
    assert asked.units_per_arm_anytime == pytest.approx(2.40 * asked.units_per_arm, rel=0.01)


def test_what_some_weeks_find_and_what_a_lift_needs_agree() -> None:
    plan = plan_experiment(traffic(), lift=0.05)
    reach = plan.reach[-1]
    assert reach.lift is not None
    assert plan_experiment(traffic(), lift=reach.lift).asked.units_per_arm <= reach.units_per_arm * 1.01


def test_every_exposure_with_feedback_counts_whatever_its_reason(store: SqlStore) -> None:
    doc = document()
    fill(store, doc, World(units=200))
    happen(store, document(name="other", salt="other"), World(units=100), prefix="more")
    read = read_traffic(store)
    assert (read.units, read.sums.n, read.sums.d) == (300, 300, 300 * 2 * 5)
    assert read.days == pytest.approx(10, abs=1)


def test_a_log_without_clicks_gives_no_plan(store: SqlStore) -> None:
    fill(store, document(), World(units=50, feedback=False))
    with pytest.raises(NothingLoggedError, match="0 units"):
        plan_experiment(read_traffic(store), lift=0.05)
