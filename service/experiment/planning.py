"""How many units and days an experiment needs, from the traffic that the event store has already seen.

Every exposure with feedback counts, whatever its reason: what matters is how much units differ from one another, which
the impressions alone do not tell, and how many units come in a day. A longer experiment shows each unit more often;
the plan takes units as the log has them.

Source: reference section 1.4 (power, duration); `service.experiment.statistics.power`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from service.events.joined import Scope, read_candidates, read_exposures
from service.events.store import EventStore
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.power import (
    days,
    design_effect,
    detectable_lift,
    units_per_arm,
    variance_per_unit,
)
from service.experiment.statistics.ratio import RatioSums, ratio
from service.experiment.statistics.sequential import anytime_cost

LIFTS = (0.005, 0.01, 0.02, 0.05, 0.1)
WEEKS = (1, 2, 4, 8)
_DAY_MS = 24 * 3_600_000
_ALWAYS = 2**62


class NothingLoggedError(ValueError):
    """The log cannot say how units differ; the message says what is missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What the log says about units."""

    sums: RatioSums
    """Clicks and impressions of the units that have any."""
    units: int
    """Units with an exposure, with feedback or without."""
    days: float
    """From the first exposure to the last, at least one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What it takes to find one lift."""

    lift: float
    units_per_arm: int
    """For looking once, when they are all there."""
    days: int
    """Whole weeks."""
    units_per_arm_anytime: int
    """For deciding at any look."""
    days_anytime: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """The smallest lift that is found within some weeks."""

    weeks: int
    units_per_arm: int
    lift: float | None
    """None where no lift, however large, would be found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentPlan:
    """What to write into `planned_units`, and how long it takes."""

    ctr: float
    units: int
    impressions: int
    clicks: int
    window_days: float
    units_per_day: float
    variance_per_unit: float
    design_effect: float
    """How many times as many units it takes because a unit's impressions are alike."""
    alpha: float
    power: float
    arms: int
    ramp: float
    asked: Need
    planned_units: int
    """Of a treatment and the control together."""
    others: tuple[Need, ...]
    reach: tuple[Reach, ...]


def read_traffic(store: EventStore, until_ms: int | None = None) -> Traffic:
    """Everything logged before a time; raises StoreError."""
    until_ms = _ALWAYS if until_ms is None else until_ms
    scope = Scope("e.ts_ms < ?", (until_ms,))
    with store.reading() as session:
        exposures = read_exposures(session, scope)
        candidates, _ = read_candidates(
            session, scope, exposures, until_ms=until_ms, attribution_ms=store.attribution_ms
        )
    numbers = {unit_hash: unit for unit, unit_hash in enumerate(dict.fromkeys(exposures.unit_hashes))}
    unit_E = np.array([numbers[unit_hash] for unit_hash in exposures.unit_hashes], np.int64)
    window_ms = int(np.ptp(exposures.ts_ms_E)) if len(unit_E) else 0
    return Traffic(
        sums=RatioSums.of_rows(unit_E[candidates.exposure_I], candidates.clicked_I),
        units=len(numbers),
        days=max(1.0, window_ms / _DAY_MS),
    )


def plan_experiment(
    traffic: Traffic, *, lift: float, power: float = 0.8, alpha: float = 0.05, arms: int = 2, ramp: float = 1.0
) -> ExperimentPlan:
    """Units and days for a lift.

    Args:
        traffic: from `read_traffic`.
        lift: relative effect to be found, or margin not to be lost.
        power: chance of finding it.
        alpha: two-sided level; divided by the treatments where there are several.
        arms: of equal weight, the control included.
        ramp: share of the units that is included, 0 to 1.

    Raises:
        NothingLoggedError: the log has no clicks, or no two units with feedback.
        StatisticsError: a number is not in its range.
    """
    try:
        ctr, spread = ratio(traffic.sums, "the log").value, variance_per_unit(traffic.sums)
        effect = design_effect(traffic.sums)
    except StatisticsError as error:
        raise NothingLoggedError(
            f"{error}; a plan needs units with impressions and clicks in the event store"
        ) from None
    found = _Planner(ctr, spread, traffic.units / traffic.days, alpha / (arms - 1), power, arms, ramp)
    asked = found.need(lift)
    return ExperimentPlan(
        ctr=ctr,
        units=traffic.units,
        impressions=int(traffic.sums.d),
        clicks=int(traffic.sums.m),
        window_days=traffic.days,
        units_per_day=found.units_per_day,
        variance_per_unit=spread,
        design_effect=effect,
        alpha=alpha,
        power=power,
        arms=arms,
        ramp=ramp,
        asked=asked,
        planned_units=2 * asked.units_per_arm,
        others=tuple(found.need(other) for other in LIFTS),
        reach=tuple(found.reach(weeks) for weeks in WEEKS),
    )


@dataclass(frozen=True, slots=True)
class _Planner:
    """Everything but the lift."""

    ctr: float
    variance_per_unit: float
    units_per_day: float
    alpha: float
    power: float
    arms: int
    ramp: float

    def need(self, lift: float) -> Need:
        """Units and days for one lift."""
        units = units_per_arm(
            ctr=self.ctr, variance_per_unit=self.variance_per_unit, lift=lift, alpha=self.alpha, power=self.power
        )
        anytime = ceil(units * anytime_cost(self.alpha) ** 2)
        return Need(
            lift=lift,
            units_per_arm=units,
            days=self._days(units),
            units_per_arm_anytime=anytime,
            days_anytime=self._days(anytime),
        )

    def reach(self, weeks: int) -> Reach:
        """The smallest lift found within some weeks."""
        units = int(self.units_per_day * self.ramp * 7 * weeks / self.arms)
        try:
            lift = detectable_lift(
                ctr=self.ctr, variance_per_unit=self.variance_per_unit, units=units, alpha=self.alpha, power=self.power
            )
        except StatisticsError:
            return Reach(weeks=weeks, units_per_arm=units, lift=None)
        return Reach(weeks=weeks, units_per_arm=units, lift=lift)

    def _days(self, units: int) -> int:
        return days(units=self.arms * units, units_per_day=self.units_per_day, ramp=self.ramp)
