"""How many units, how many days, and what can be found with those there are.

    units per arm   n = 2·(z_{1-α/2} + z_power)²·σ² / (lift·R)²,    σ² = units · Var(R), as seen in logs
    finding         L² = k²·σ²/(n·R²)·(1 + (1 + L)²),  k = z_{1-α/2} + z_power: the lift is divided by a noisy control
    days            units / (new units per day · ramp), up to whole weeks, at least one

σ² must come from units: with R(1 - R) per impression the plan is too small by the design effect. A non-inferiority test
at α/2 against a margin, with no true difference, needs the units of a lift as large as the margin. An anytime-valid
decision needs `sequential.anytime_cost(α)` squared as many.

Source: reference section 1.4; GrowthBook's power documentation for the quadratic.
"""

from __future__ import annotations

from math import ceil, floor, sqrt

from scipy.special import ndtri

from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.ratio import RatioSums, ratio

WEEK = 7


def variance_per_unit(sums: RatioSums) -> float:
    """σ²_R: units times Var(R), from one arm or from logs without an experiment."""
    estimate = ratio(sums, "the log")
    return estimate.variance * estimate.units


def design_effect(sums: RatioSums) -> float:
    """How many times the variance of as many independent impressions; sums of clicks and impressions.

    Raises:
        StatisticsError: no unit, no click, or nothing but clicks.
    """
    value, variance, _ = ratio(sums, "the log")
    if not 0 < value < 1:
        raise StatisticsError(f"design effect: CTR is {value:g}, expected between 0 and 1")
    return variance * sums.d / (value * (1 - value))


def units_per_arm(*, ctr: float, variance_per_unit: float, lift: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Units in each of two equal arms.

    Args:
        ctr: R of the control, or another ratio.
        variance_per_unit: σ²_R, from `variance_per_unit`.
        lift: relative effect to be found, or margin not to be lost; its sign does not matter.
        alpha: two-sided level.
        power: chance of finding it.

    Raises:
        StatisticsError: something is not above zero, or not between 0 and 1.
    """
    _check(ctr=ctr, variance_per_unit=variance_per_unit, lift=abs(lift))
    return max(2, ceil(2 * _k(alpha, power) ** 2 * variance_per_unit / (lift * ctr) ** 2))


def detectable_difference(*, variance_per_unit: float, units: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest absolute difference found with this power by `units` in each arm."""
    _check(variance_per_unit=variance_per_unit, units=units)
    return _k(alpha, power) * sqrt(2 * variance_per_unit / units)


def detectable_lift(
    *, ctr: float, variance_per_unit: float, units: float, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Smallest positive lift found with this power by `units` in each arm.

    Raises:
        StatisticsError: so few units that no lift, however large, would be found.
    """
    _check(ctr=ctr, variance_per_unit=variance_per_unit, units=units)
    c = _k(alpha, power) ** 2 * variance_per_unit / (units * ctr**2)
    if c >= 1:
        raise StatisticsError(
            f"{units:g} units in each arm: the control's CTR is too noisy for any lift to be found; expected at least "
            f"{floor(c * units) + 1}"
        )
    return (c + sqrt(c * (2 - c))) / (1 - c)


def days(*, units: float, units_per_day: float, ramp: float = 1.0) -> int:
    """Days until `units` of all arms together have come, in whole weeks.

    Args:
        units: of all arms together.
        units_per_day: new eligible ones.
        ramp: share of them that is included, 0 to 1.
    """
    _check(units=units, units_per_day=units_per_day, ramp=ramp)
    return WEEK * ceil(units / (units_per_day * ramp) / WEEK)


def _k(alpha: float, power: float) -> float:
    if not (0 < alpha < 1 and alpha < power < 1):
        raise StatisticsError(f"alpha {alpha!r} and power {power!r}: expected 0 < alpha < power < 1")
    return float(ndtri(1 - alpha / 2) + ndtri(power))


def _check(**positive: float) -> None:
    for name, value in positive.items():
        if not 0 < value < float("inf"):
            raise StatisticsError(f"{name}: got {value!r}, expected a finite number above 0")
