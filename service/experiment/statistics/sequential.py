"""Intervals and p-values that stay valid however often they are looked at.

    ρ           = √((-2 ln α + ln(-2 ln α + 1)) / N*)
    half width  = se · √N · √( 2(Nρ² + 1) / (N²ρ²) · ln(√(Nρ² + 1) / α) )
    e           = exp( ρ²·N·Z² / (2(Nρ² + 1)) ) / √(Nρ² + 1),    Z = effect / se
    p           = running minimum of min(1, 1/e)

N counts units of both arms, se is the standard error a fixed-horizon test would use at that moment. The interval is
tightest near N*, the planned number: there it is 1.55 times as wide as the fixed one at α = 0.05. mSPRT is the same
with ρ² = τ²/V, GAVI with r = σ²/ρ². It is asymptotic: it wants enough units for a good se, and a unit's rows summed.

Source: Robbins 1970; Howard et al. 2021; Waudby-Smith et al., arXiv 2103.06476; reference section 1.4.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from service.experiment.statistics.arrays import Floats
from service.experiment.statistics.effect import Effect, Interval
from service.experiment.statistics.errors import StatisticsError


def rho(alpha: float, planned: float) -> float:
    """The mixture's scale that makes the interval tight at `planned` units of both arms together."""
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha is {alpha!r}: expected between 0 and 1")
    if planned <= 0:
        raise StatisticsError(f"planned units: got {planned!r}, expected above 0")
    return sqrt(_tight(alpha) / planned)


def half_width(se: ArrayLike, n: ArrayLike, rho: float, alpha: float) -> Floats:
    """Half the width of the anytime-valid interval around an estimate.

    Args:
        se: standard error of the estimate at each look.
        n: units of both arms at each look.
        rho: from `rho`, fixed before the first look.
        alpha: two-sided level.

    Returns:
        One number per look, in the unit of se; of no axes if se and n have none.
    """
    n = np.asarray(n, dtype=np.float64)
    grown = n * rho**2 + 1
    return np.asarray(se) * np.sqrt(2 * grown / (n * rho**2) * (np.log(grown) / 2 - log(alpha)))


def log_e_value(z: ArrayLike, n: ArrayLike, rho: float) -> Floats:
    """Ln e: evidence against no effect, from Z = effect / se at n units of both arms."""
    grown = np.asarray(n, dtype=np.float64) * rho**2 + 1
    return (grown - 1) * np.square(np.asarray(z, dtype=np.float64)) / (2 * grown) - np.log(grown) / 2


def e_value(z: ArrayLike, n: ArrayLike, rho: float) -> Floats:
    """Evidence against no effect; under no effect it ever exceeds 1/α with probability α at most.

    Infinite beyond 1.8e308: `log_e_value` is not.
    """
    with np.errstate(over="ignore"):
        return np.exp(log_e_value(z, n, rho))


def running_p(log_e_T: ArrayLike) -> Floats:
    """Anytime-valid p at each of T looks, from the looks' `log_e_value`: it never rises again.

    A single look's is 1/e, at most 1: without the looks before it that is valid too, only larger.
    """
    return np.exp(np.minimum.accumulate(np.minimum(-np.atleast_1d(np.asarray(log_e_T, dtype=np.float64)), 0.0)))


def anytime_interval(effect: Effect, *, planned: float) -> Interval:
    """The anytime-valid interval of a difference or a lift, of the effect's own alpha.

    Args:
        effect: from `ratio.lift`, `ratio.absolute_effect` or `cuped.adjusted`, at any moment.
        planned: N*, units of both arms together, fixed before the experiment began.
    """
    half = float(half_width(effect.se, effect.units, rho(effect.alpha, planned), effect.alpha))
    return effect.estimate - half, effect.estimate + half


def anytime_p(effect: Effect, *, planned: float) -> float:
    """Anytime-valid p of one look; take the minimum over the looks that there were."""
    log_e = log_e_value(effect.estimate / effect.se, effect.units, rho(effect.alpha, planned))
    return float(running_p(log_e)[-1])


def anytime_cost(alpha: float, progress: float = 1.0) -> float:
    """How many times as wide as the fixed interval it is at N = progress · N*; squared, how many times the units."""
    grown = progress * _tight(alpha) + 1
    return sqrt(2 * grown / (grown - 1) * (log(grown) / 2 - log(alpha))) / -float(ndtri(alpha / 2))


def _tight(alpha: float) -> float:
    """N*·ρ²."""
    return -2 * log(alpha) + log(-2 * log(alpha) + 1)
