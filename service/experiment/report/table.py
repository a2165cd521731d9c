"""One row per arm as in the paper's Table 4: click users, CTR, FLOPs, latency; and the improvements below them.

Positive improvements are better in every column, as in the paper: more clicks, fewer multiplications, less time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from service.experiment.document import Experiment
from service.experiment.model_facts import ModelFacts
from service.experiment.report.arrays import Floats, Ints, Phase
from service.experiment.report.effects import WORDS
from service.experiment.report.schema_arms import ArmRow, ImprovementRow, Measured
from service.experiment.statistics.effect import Effect, student_quantile
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.quantiles import compare_quantiles, quantile
from service.experiment.statistics.ratio import RatioSums, lift, ratio

Facts = Mapping[str, ModelFacts]


def arm_row(phase: Phase, arm: int, experiment: Experiment, facts: Facts) -> ArmRow:
    """What one arm, an index into the phase's, did and cost."""
    sums, alpha = phase.sums(arm), experiment.analysis.alpha
    of_arm_E = phase.of_arm(arm)
    effective, executed = _flops(phase, arm, facts)
    return ArmRow(
        arm=phase.arms[arm],
        role="treatment" if arm else "control",
        models=own_models(phase, arm),
        share=experiment.arms[arm].weight / sum(other.weight for other in experiment.arms),
        units=sums.n,
        requests=int(of_arm_E.sum()),
        impressions=int(sums.d),
        clicks=int(sums.m),
        click_users=int((phase.clicks_U[phase.arm_U == arm] > 0).sum()),
        ctr=_ctr(sums, alpha),
        flops_effective=effective,
        flops_executed=executed,
        latency_p50_us=_latency(phase, arm, 0.5, alpha),
        latency_p99_us=_latency(phase, arm, 0.99, alpha),
    )


def improvement_row(phase: Phase, treatment: int, alpha: float, facts: Facts) -> ImprovementRow:
    """A treatment against the control, positive where it is better."""
    return ImprovementRow(
        treatment=phase.arms[treatment],
        click_users=_better(click_users(phase, treatment, alpha), 1),
        ctr=_better(_lift(phase.sums(treatment), phase.sums(0), alpha), 1),
        flops=_fewer_flops(phase, treatment, facts),
        latency_p50=_better(latency(phase, treatment, 0.5, alpha), -1),
        latency_p99=_better(latency(phase, treatment, 0.99, alpha), -1),
    )


def click_users(phase: Phase, treatment: int, alpha: float) -> Effect | None:
    """Lift of the share of units that clicked; None where it cannot be said."""
    t, c = (
        RatioSums.of(phase.clicks_U[in_U] > 0, np.ones(int(in_U.sum()), np.int64))
        for in_U in (phase.arm_U == treatment, phase.arm_U == 0)
    )
    return _lift(t, c, alpha)


def latency(phase: Phase, treatment: int, level: float, alpha: float) -> Effect | None:
    """How much longer the treatment's percentile takes than the control's; None where it cannot be said."""
    try:
        return compare_quantiles(latencies(phase, treatment), latencies(phase, 0), level, alpha=alpha)
    except StatisticsError:
        return None


def latencies(phase: Phase, arm: int) -> tuple[Floats, Ints]:
    """Microseconds and unit of each answered request of an arm, as assigned: fallbacks are its own."""
    answered_E = phase.of_arm(arm) & (np.nan_to_num(phase.rows.latency_us_E) > 0)
    return phase.rows.latency_us_E[answered_E], phase.rows.unit_E[answered_E]


def own_models(phase: Phase, arm: int) -> tuple[str, ...]:
    """What answered requests of an arm, as exposed, when nothing had to stand in for it."""
    rows = phase.rows
    name = phase.arms[arm]
    if name not in rows.arms:
        return ()
    own_E = (rows.arm_E == rows.arms.index(name)) & ~rows.fallback_E & (rows.model_E >= 0)
    return tuple(rows.models[model] for model in np.unique(rows.model_E[own_E]).tolist())


def _ctr(sums: RatioSums, alpha: float) -> Measured | None:
    try:
        value, variance, units = ratio(sums)
    except StatisticsError:
        return None
    half = student_quantile(units - 1, alpha) * float(np.sqrt(variance))
    return Measured(value=value, n=units, method=WORDS["delta"], interval=(value - half, value + half))


def _latency(phase: Phase, arm: int, level: float, alpha: float) -> Measured | None:
    try:
        found = quantile(*latencies(phase, arm), level, alpha=alpha)
    except StatisticsError:
        return None
    return Measured(value=found.value, n=found.requests, method=WORDS["outer"], interval=(found.low, found.high))


def _flops(phase: Phase, arm: int, facts: Facts) -> tuple[float | None, float | None]:
    """Effective and executed, per candidate, of whatever answered: a fallback costs what the model behind it costs."""
    rows = phase.rows
    answered_E = phase.of_arm(arm) & (rows.model_E >= 0)
    candidates_M = np.bincount(rows.model_E[answered_E], rows.n_candidates_E[answered_E], len(rows.models))
    answering = [(rows.models[model], float(candidates_M[model])) for model in np.flatnonzero(candidates_M).tolist()]
    if not answering or any(model not in facts for model, _ in answering):
        return None, None
    total = sum(candidates for _, candidates in answering)
    effective = sum(facts[model].flops_effective * candidates for model, candidates in answering)
    executed = sum(facts[model].flops_executed * candidates for model, candidates in answering)
    return effective / total, executed / total


def _fewer_flops(phase: Phase, treatment: int, facts: Facts) -> Measured | None:
    t, c = _flops(phase, treatment, facts)[0], _flops(phase, 0, facts)[0]
    if t is None or not c:
        return None
    requests = int((phase.rows.model_E >= 0).sum())
    return Measured(value=1 - t / c, n=requests, method="counted, effective multiplications per candidate answered")


def _lift(treatment: RatioSums, control: RatioSums, alpha: float) -> Effect | None:
    try:
        return lift(treatment, control, alpha=alpha)
    except StatisticsError:
        return None


def _better(effect: Effect | None, sign: int) -> Measured | None:
    if effect is None:
        return None
    low, high = sorted(sign * end for end in effect.interval)
    shown = Measured(value=sign * effect.estimate, n=effect.units, method=WORDS[effect.method])
    return replace(shown, interval=(low, high))
