"""What the statistics say of worlds whose truth is known: no effect, the planned effect, the same units' past.

Each simulation draws, calls the functions a report calls, and counts. Contrasts are computed on the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from loadtest.proof.finding import Finding
from loadtest.proof.population import Ints, Population, latencies, with_history
from service.experiment.statistics.cuped import adjusted
from service.experiment.statistics.effect import Effect
from service.experiment.statistics.power import detectable_lift, units_per_arm, variance_per_unit
from service.experiment.statistics.quantiles import compare_quantiles
from service.experiment.statistics.ratio import RatioSums, absolute_effect, lift
from service.experiment.statistics.sequential import anytime_interval, rho
from service.experiment.statistics.srm import ALARM, sequential

ALPHA = 0.05
CTR = 0.05
LOOKS = 100
UNITS_PER_LOOK = 100
PLANNED = LOOKS * UNITS_PER_LOOK // 2
"""N*: half of the units that come."""
DAYS = 30

Steps = Callable[[int], Iterator[int]]
"""Counts from 0 like `range`, and shows how far it is."""


def no_effect(simulations: int, steps: Steps, seed: int = 0) -> list[Finding]:
    """T3: an A/A experiment, looked at after every hundred units and once at the end."""
    generator, population = np.random.default_rng(seed), Population.of(CTR)
    alarms = np.array([_aa(generator, population) for _ in steps(simulations)])
    fixed, binomial, peeking, anytime, misprint = alarms.mean(axis=0).tolist()
    looks = f"over {LOOKS} looks"
    return [
        Finding(target="T3", what="A/A called, fixed, clustered by unit", found=fixed, low=0.04, high=0.06),
        Finding(target="T3", what="  the same, binomial variance", found=binomial, contrast=True),
        Finding(target="T3", what=f"A/A called, anytime-valid, {looks}", found=anytime, high=0.05),
        Finding(target="T3", what=f"  the same, fixed interval {looks}", found=peeking, contrast=True),
        Finding(target="T3", what="  the same, r + α² in place of r·α²", found=misprint, contrast=True),
    ]


def _aa(generator: np.random.Generator, population: Population) -> tuple[bool, ...]:
    """Whether an A/A was called: at the end clustered and binomial; at any look fixed, anytime-valid and misprinted."""
    clicks, impressions = population.units(generator, (2, LOOKS, UNITS_PER_LOOK // 2))
    arms = [_running(clicks[arm], impressions[arm]) for arm in (0, 1)]
    effects = [absolute_effect(*at_look, alpha=ALPHA) for at_look in zip(*arms, strict=True)]
    return (
        effects[-1].p < ALPHA,
        _binomial_p(arms[0][-1], arms[1][-1]) < ALPHA,
        any(effect.p < ALPHA for effect in effects),
        any(_excludes_zero(anytime_interval(effect, planned=PLANNED)) for effect in effects),
        any(abs(effect.estimate) > _misprinted(effect) for effect in effects),
    )


def _running(clicks_TU: Ints, impressions_TU: Ints) -> list[RatioSums]:
    """The sums of all units so far, at each look."""
    m, d = clicks_TU, impressions_TU
    sums_TS = np.cumsum([(row.sum(axis=1)) for row in (np.ones_like(m), m, d, m * m, d * d, m * d)], axis=1).T
    return [RatioSums(*row) for row in sums_TS.tolist()]


def _excludes_zero(interval: tuple[float, float]) -> bool:
    return interval[0] > 0 or interval[1] < 0


def _misprinted(effect: Effect) -> float:
    """Half of GAVI's width as an old documentation prints it: r + α² where r·α² is right."""
    n, alpha = effect.units, effect.alpha
    v, r = effect.se**2 * n**2, effect.se**2 * n / rho(alpha, PLANNED) ** 2
    return sqrt(max((v + r) * np.log((v + r) / (r + alpha**2)), 0.0)) / n


def _binomial_p(treatment: RatioSums, control: RatioSums) -> float:
    """The two-proportion test that takes every impression for independent."""
    pooled = (treatment.m + control.m) / (treatment.d + control.d)
    se = sqrt(pooled * (1 - pooled) * (1 / treatment.d + 1 / control.d))
    return 2 * float(ndtr(-abs(treatment.m / treatment.d - control.m / control.d) / se))


def fair_split(simulations: int, steps: Steps, seed: int = 1) -> list[Finding]:
    """T3: arms drawn as promised, SRM looked at on each of thirty days."""
    generator = np.random.default_rng(seed)
    alarms = np.array([_split(generator, 100) for _ in steps(max(1, simulations // 100))]).mean(axis=0).tolist()
    return [
        Finding(target="T3", what=f"SRM called, sequential, {DAYS} looks", found=alarms[0], high=ALARM),
        Finding(target="T3", what=f"  the same, χ² at {ALARM} on every look", found=alarms[1], contrast=True),
    ]


def _split(generator: np.random.Generator, simulations: int) -> tuple[float, float]:
    """Share of experiments called within their days: sequentially, and by χ² on every day."""
    arrivals = generator.poisson(1000, (simulations, DAYS))
    first = generator.binomial(arrivals, 0.5)
    p_ST = sequential(np.stack([first, arrivals - first], axis=-1), (1, 1))
    so_far, total = first.cumsum(axis=1), arrivals.cumsum(axis=1)
    chi_p_ST: NDArray[np.float64] = chdtrc(1, (2 * so_far - total) ** 2 / total)
    return float((p_ST[:, -1] < ALARM).mean()), float((chi_p_ST.min(axis=1) < ALARM).mean())


def planned_effect(simulations: int, steps: Steps, seed: int = 2, size: float = 0.02) -> list[Finding]:
    """T4: units planned from a log of 200,000, then the effect that was planned for."""
    generator, control = np.random.default_rng(seed), Population.of(CTR)
    log = control.sums(generator, 200_000)
    seen = {"ctr": log.m / log.d, "variance_per_unit": variance_per_unit(log)}
    units, few = units_per_arm(**seen, lift=size), 20_000
    by_size = {size: units, detectable_lift(**seen, units=few): few}
    half = simulations // 2
    share = [_found(generator, control, planned, half, steps) for planned in by_size.items()]
    (first, n), (second, m) = by_size.items()
    return [
        Finding(target="T4", what=f"power, lift {first:.1%}, {n:,} units an arm", found=share[0], low=0.77, high=0.83),
        Finding(target="T4", what=f"power, lift {second:.1%}, {m:,} units an arm", found=share[1], low=0.77, high=0.83),
    ]


def _found(
    generator: np.random.Generator, control: Population, planned: tuple[float, int], simulations: int, steps: Steps
) -> float:
    """Share of experiments with an effect of this size, and so many units in each arm, that find it."""
    size, units = planned
    treatment = Population.of(CTR * (1 + size))
    p = [lift(treatment.sums(generator, units), control.sums(generator, units)).p for _ in steps(simulations)]
    return float(np.mean(np.array(p) < ALPHA))


def same_units_before(simulations: int, steps: Steps, seed: int = 3) -> list[Finding]:
    """T4: CUPED with no effect: what it saves, as the adjusted differences really scatter, and how often it errs."""
    generator = np.random.default_rng(seed)
    many = with_history(generator, 1_000_000, CTR)
    m, d, x, w = (np.asarray(column, dtype=np.float64) for column in many)
    squared = float(np.corrcoef(m - m.sum() / d.sum() * d, x - x.sum() / w.sum() * w)[0, 1] ** 2)
    found = [_adjusted(generator) for _ in steps(simulations)]
    plain, after, promised, p = np.array(found).T
    gap = float(1 - after.var() / plain.var()) - squared
    rho2 = f"ρ² = {squared:.1%}"
    return [
        Finding(target="T4", what=f"CUPED, variance saved less {rho2}", found=gap, low=-0.02, high=0.02),
        Finding(target="T4", what="CUPED, as promised", found=float(promised.mean()) - squared, low=-0.02, high=0.02),
        Finding(target="T4", what="CUPED, A/A called", found=float(np.mean(p < ALPHA)), low=0.04, high=0.06),
    ]


def _adjusted(generator: np.random.Generator) -> tuple[float, float, float, float]:
    t, c = (with_history(generator, 500, CTR) for _ in range(2))
    plain = absolute_effect(RatioSums.of(t.clicks_U, t.impressions_U), RatioSums.of(c.clicks_U, c.impressions_U))
    after = adjusted(t, c)
    return plain.estimate, after.absolute.estimate, after.variance_reduction, after.absolute.p


def same_latency(simulations: int, steps: Steps, seed: int = 4) -> list[Finding]:
    """Guardrail: how often the interval of the ratio of two p99 holds 1, which it is."""
    generator = np.random.default_rng(seed)
    covered = np.array([_covered(generator) for _ in steps(simulations)]).mean(axis=0).tolist()
    return [
        Finding(target="p99", what="covered, order statistics, clustered", found=covered[0], low=0.935, high=0.975),
        Finding(target="p99", what="  the same, units resampled", found=covered[1], contrast=True),
        Finding(target="p99", what="  the same, requests taken for independent", found=covered[2], contrast=True),
    ]


def _covered(generator: np.random.Generator, level: float = 0.99) -> tuple[bool, bool, bool]:
    t, c = (latencies(generator, 500) for _ in range(2))
    alone = [(values_E, np.arange(values_E.size)) for values_E, _ in (t, c)]
    resampled_S = _resampled(generator, *t, level) / _resampled(generator, *c, level) - 1
    low, high = np.quantile(resampled_S, [ALPHA / 2, 1 - ALPHA / 2])
    return (
        not _excludes_zero(compare_quantiles(t, c, level).interval),
        not _excludes_zero((float(low), float(high))),
        not _excludes_zero(compare_quantiles(alone[0], alone[1], level).interval),
    )


def _resampled(
    generator: np.random.Generator, values_E: NDArray[np.float64], unit_E: Ints, level: float, samples: int = 200
) -> NDArray[np.float64]:
    """The quantile of samples of units, drawn with replacement."""
    order_E, units = np.argsort(values_E), int(unit_E[-1]) + 1
    weight_SU = generator.multinomial(units, np.full(units, 1 / units), size=samples)
    weight_SE = np.cumsum(weight_SU[:, unit_E[order_E]], axis=1)
    rank_S = np.argmax(weight_SE > level * weight_SE[:, -1:], axis=1)
    drawn_S: NDArray[np.float64] = values_E[order_E][rank_S]
    return drawn_S
