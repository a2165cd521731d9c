"""Latency percentiles of two arms, where a unit's requests are alike.

    I_e = 1[x_e < q] + f·1[x_e = q],  f such that the mean of I is the level;    s_u = Σ (I_e - level) of unit u
    sd²     = n/(n - 1) · Σ s_u² / N²,     dof = 2·n·(mean s²)² / (mean s⁴ - (mean s²)²), at most n - 1
    arm     [ the quantile at level - t·sd, the quantile at level + t·sd ]                        ("outer interval")
    ratio   ln lower = ln(T/C) - √( ln²(T/T_low) + ln²(C_high/C) ),    ln upper likewise          (MOVER)

How many requests lie below a quantile is a ratio over units; its clustered variance says how far the rank may be off,
and the order statistics at the ends of that rank interval bound the quantile. That needs no density and stays lopsided,
as tails are. A tail is made by few units: the degrees of freedom say by how many (Satterthwaite). MOVER combines two
such intervals into one of their ratio, where a delta method would take them for symmetric. One sort per arm; resampling
units costs hundreds and covers no better (`python -m loadtest.proof.statistics`). Where the upper rank is past the
last request, too little has been seen: that end is infinite.

Source: Deng, Knoblich, Lu, KDD 2018, section 4; Zou and Donner, "Construction of confidence limits about effect
measures", Statistics in Medicine 2008 (MOVER); reference section 1.4.
"""

from __future__ import annotations

from math import expm1, floor, hypot, inf, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from service.experiment.statistics.arrays import Floats, numbers, same_length
from service.experiment.statistics.effect import Effect, student_quantile
from service.experiment.statistics.errors import StatisticsError


class Quantile(NamedTuple):
    """A quantile of one arm's requests."""

    value: float
    low: float
    high: float
    """Infinite if the requests seen so far do not reach it."""
    units: int
    requests: int
    dof: float
    """How many units the width rests on."""


def quantile(
    values_E: ArrayLike, unit_E: ArrayLike, level: float, *, alpha: float = 0.05, arm: str = "the arm"
) -> Quantile:
    """The quantile over requests with its interval, clustered by unit.

    Args:
        values_E: latency of each request, above 0.
        unit_E: unit of each request, any integers.
        level: 0.99 is the 99th percentile.
        alpha: two-sided level of the interval.
        arm: how to call it in errors.

    Raises:
        StatisticsError: fewer than two units, or a value that is not above 0.
    """
    values_E, unit_E = numbers(f"{arm}: values_E", values_E).astype(np.float64), numbers(f"{arm}: unit_E", unit_E)
    same_length(values_E=values_E, unit_E=unit_E)
    if not 0 < level < 1:
        raise StatisticsError(f"level is {level!r}: expected between 0 and 1")
    if values_E.min(initial=inf) <= 0:
        raise StatisticsError(f"{arm}: {np.count_nonzero(values_E <= 0)} of {values_E.size} values are not above 0")
    sorted_E = np.sort(values_E)
    value = float(sorted_E[floor(level * values_E.size)]) if values_E.size else inf
    rank_sd, dof, units = _rank_error(_below(values_E, value, level) - level, unit_E, arm)
    reach = student_quantile(dof, alpha) * rank_sd
    low, high = floor((level - reach) * values_E.size), floor((level + reach) * values_E.size)
    return Quantile(
        value=value,
        low=float(sorted_E[low]) if low >= 0 else 0.0,
        high=float(sorted_E[high]) if high < values_E.size else inf,
        units=units,
        requests=values_E.size,
        dof=dof,
    )


def compare_quantiles(
    treatment: tuple[ArrayLike, ArrayLike], control: tuple[ArrayLike, ArrayLike], level: float, *, alpha: float = 0.05
) -> Effect:
    """How many times the control's quantile the treatment's is, less one.

    Args:
        treatment: values_E and unit_E of its requests.
        control: the same.
        level: 0.99 is the 99th percentile.
        alpha: two-sided level of the interval.

    Returns:
        An effect whose interval is lopsided and may reach infinity; its se is half the interval's width over t, on the
        scale of logarithms, times the ratio.

    Raises:
        StatisticsError: as `quantile`, or no request differs from another.
    """
    t = quantile(*treatment, level, alpha=alpha, arm="the treatment")
    c = quantile(*control, level, alpha=alpha, arm="the control")
    times, dof = t.value / c.value, min(t.dof, c.dof)
    down, up = hypot(_log(t.value, t.low), _log(c.high, c.value)), hypot(_log(t.high, t.value), _log(c.value, c.low))
    if down + up == 0:
        raise StatisticsError(
            f"no request differs from another: all {t.value:g} against {c.value:g}; no variance to go by"
        )
    log_se = (down + up) / 2 / student_quantile(dof, alpha)
    z = log(times) / log_se
    return Effect(
        estimate=times - 1,
        se=times * log_se,
        dof=dof,
        interval=(expm1(log(times) - down), expm1(log(times) + up)),
        p=2 * float(stdtr(dof, -abs(z))),
        p_greater=float(stdtr(dof, -z)),
        p_less=float(stdtr(dof, z)),
        units=t.units + c.units,
        alpha=alpha,
        method="outer",
    )


def _below(values_E: Floats, value: float, level: float) -> Floats:
    """1 below the quantile, and at it what makes the mean the level: ties weigh what the level takes of them."""
    below_E, at_E = values_E < value, values_E == value
    taken = level * values_E.size - np.count_nonzero(below_E)
    share_E: Floats = below_E + at_E * (taken / (np.count_nonzero(at_E) or 1))
    return share_E


def _rank_error(excess_E: Floats, unit_E: NDArray[np.int64], arm: str) -> tuple[float, float, int]:
    """Standard error of a share of requests, the degrees of freedom it has, and the number of units."""
    _, unit_E = np.unique(unit_E, return_inverse=True)
    squared_U = np.bincount(unit_E, excess_E) ** 2
    units = squared_U.size
    if units < 2:  # noqa: PLR2004
        raise StatisticsError(f"{arm} has {units} units: expected 2 or more, one alone shows no variance")
    mean, spread = float(squared_U.mean()), float(squared_U.var())
    dof = min(2 * units * mean**2 / spread, units - 1.0) if spread > 0 else units - 1.0
    return sqrt(mean * units * units / (units - 1)) / excess_E.size, dof, units


def _log(larger: float, smaller: float) -> float:
    return log(larger / smaller) if smaller > 0 else inf
