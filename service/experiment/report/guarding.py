"""The guardrails of a treatment: what it must not make worse by its margin, whatever it does for CTR.

Every request counts for the arm it was assigned, also where another model stood in. A rate of which neither arm has
seen a single case has no variance to go by; then none in n units bounds the treatment's rate by 1 - (α/2)^(1/n), at
every look, since "none so far" can only end once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from service.experiment.document import Analysis
from service.experiment.report.arrays import Bools, Phase
from service.experiment.report.effects import WORDS
from service.experiment.report.schema_arms import GuardrailView
from service.experiment.report.table import latencies
from service.experiment.statistics.effect import Effect
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.guardrails import calibration_rise, non_inferiority
from service.experiment.statistics.quality import losses
from service.experiment.statistics.quantiles import compare_quantiles, quantile
from service.experiment.statistics.ratio import RatioSums, absolute_effect, lift

Metric = Literal["latency_p99", "error_rate", "fallback_rate", "log_loss", "calibration"]
Scale = Literal["lift", "difference"]
_OK = (200, 299)
_UNLOGGED = "no probabilities are stored for the feedback; set CTR_LOG_PROBABILITIES=true"


def guardrails(phase: Phase, treatment: int, analysis: Analysis) -> tuple[GuardrailView, ...]:
    """Every guardrail of one treatment, an index into the phase's arms."""
    failed_E = (phase.rows.status_E < _OK[0]) | (phase.rows.status_E > _OK[1])
    return (
        _latency(phase, treatment, analysis),
        _rate(phase, treatment, analysis, "error_rate", failed_E),
        _rate(phase, treatment, analysis, "fallback_rate", phase.rows.fallback_E),
        _log_loss(phase, treatment, analysis),
        _calibration(phase, treatment, analysis),
    )


def _latency(phase: Phase, treatment: int, analysis: Analysis) -> GuardrailView:
    t, c = latencies(phase, treatment), latencies(phase, 0)
    return _judged(
        "latency_p99",
        "lift",
        analysis.latency_p99_margin,
        analysis,
        values=lambda: (quantile(*t, 0.99).value, quantile(*c, 0.99).value),
        effect=lambda: compare_quantiles(t, c, 0.99, alpha=analysis.alpha),
        units=_units(phase, treatment),
        unlogged="" if len(t[0]) and len(c[0]) else "an arm has no answer that was timed",
    )


def _rate(
    phase: Phase, treatment: int, analysis: Analysis, metric: Literal["error_rate", "fallback_rate"], case_E: Bools
) -> GuardrailView:
    margin = analysis.error_rate_margin if metric == "error_rate" else analysis.fallback_rate_margin
    over_E = phase.over()
    t, c = (
        RatioSums.of_rows(phase.rows.unit_E[of_E], case_E[of_E])
        for of_E in (over_E & phase.of_arm(treatment), over_E & phase.of_arm(0))
    )
    if t.n and c.n and t.m == c.m == 0:
        return _none_seen(metric, margin, analysis, t.n, t.n + c.n)
    return _judged(
        metric,
        "difference",
        margin,
        analysis,
        values=lambda: (t.m / t.d, c.m / c.d),
        effect=lambda: absolute_effect(t, c, alpha=analysis.alpha),
        units=t.n + c.n,
        unlogged="" if t.n and c.n else "an arm has no requests",
    )


def _none_seen(metric: Metric, margin: float, analysis: Analysis, units: int, both: int) -> GuardrailView:
    most = -float(np.expm1(np.log(analysis.alpha / 2) / units))
    return GuardrailView(
        metric=metric,
        scale="difference",
        treatment_value=0.0,
        control_value=0.0,
        margin=margin,
        outcome="pass" if most < margin else "undecided",
        harm=0.0,
        fixed=(0.0, most),
        anytime=(0.0, most),
        deteriorated=False,
        breached=False,
        n=both,
        method="exact bound from no case in any unit",
        missing=None,
    )


def _log_loss(phase: Phase, treatment: int, analysis: Analysis) -> GuardrailView:
    """Log loss over the entropy of the arm's own CTR: plain, it would rise with every click that an arm wins."""
    sums: dict[str, RatioSums] = {}

    def effect() -> Effect:
        sums.update(t=_entropy_sums(phase, treatment), c=_entropy_sums(phase, 0))
        return lift(sums["t"], sums["c"], alpha=analysis.alpha)

    logged = all(labelled(phase, arm).any() for arm in (treatment, 0))
    return _judged(
        "log_loss",
        "lift",
        analysis.log_loss_margin,
        analysis,
        values=lambda: (sums["t"].m / sums["t"].d, sums["c"].m / sums["c"].d),
        effect=effect,
        units=_units(phase, treatment),
        unlogged="" if logged else _UNLOGGED,
    )


def _calibration(phase: Phase, treatment: int, analysis: Analysis) -> GuardrailView:
    t, c = (_calibration_sums(phase, arm) for arm in (treatment, 0))
    return _judged(
        "calibration",
        "difference",
        analysis.calibration_margin,
        analysis,
        values=lambda: (t.m / t.d, c.m / c.d),
        effect=lambda: calibration_rise(t, c, alpha=analysis.alpha),
        units=t.n + c.n,
        unlogged="" if t.n and c.n else _UNLOGGED,
    )


def _entropy_sums(phase: Phase, arm: int) -> RatioSums:
    """Sums whose ratio is NE and whose variance is that of NE, the arm's CTR being an estimate as well.

    NE = L / H(c) moves with a unit's loss by 1/H and with its clicks by -L·H'(c)/H², H'(c) = ln((1 - c)/c).
    """
    rows, known_I = phase.rows, labelled(phase, arm)
    if not known_I.any():
        return RatioSums(0, 0, 0, 0, 0, 0)
    p_I, y_I = rows.probability_I[known_I], rows.clicked_I[known_I]
    loss_I, ctr = losses(p_I, y_I), float(y_I.mean())
    if not 0 < ctr < 1:
        raise StatisticsError(f"{int(y_I.sum())} of {y_I.size} impressions clicked; expected some and not all")
    entropy = -(ctr * np.log(ctr) + (1 - ctr) * np.log(1 - ctr))
    pull = loss_I.mean() * np.log((1 - ctr) / ctr) / entropy
    return RatioSums.of_rows(phase.unit_I[known_I], (loss_I - pull * (y_I - ctr)) / entropy)


def _calibration_sums(phase: Phase, arm: int) -> RatioSums:
    """Expected and observed clicks."""
    rows, known_I = phase.rows, labelled(phase, arm)
    return RatioSums.of_rows(phase.unit_I[known_I], rows.probability_I[known_I], rows.clicked_I[known_I])


def labelled(phase: Phase, arm: int) -> Bools:
    """Impressions of an arm whose probability is stored, [I]."""
    return phase.impressions_of(arm) & ~np.isnan(phase.rows.probability_I)


def _units(phase: Phase, treatment: int) -> int:
    units_K = phase.units_by_arm()
    return int(units_K[treatment] + units_K[0])


def _judged(
    metric: Metric,
    scale: Scale,
    margin: float,
    analysis: Analysis,
    *,
    values: Callable[[], tuple[float, float]],
    effect: Callable[[], Effect],
    units: int,
    unlogged: str,
) -> GuardrailView:
    """Judge a metric whose rise is harm; unmeasured, and why, where the data do not say."""
    try:
        if unlogged:
            raise StatisticsError(unlogged)  # noqa: TRY301 - the same answer as to data that say too little
        found = effect()
        judged = non_inferiority(found, margin, harm="rise", planned=analysis.planned_units)
    except StatisticsError as error:
        return _unmeasured(metric, scale, margin, units, str(error))
    treatment_value, control_value = values()
    return GuardrailView(
        metric=metric,
        scale=scale,
        treatment_value=treatment_value,
        control_value=control_value,
        margin=margin,
        outcome=judged.outcome.value,
        harm=judged.harm,
        fixed=judged.interval,
        anytime=judged.anytime,
        deteriorated=judged.deteriorated,
        breached=judged.breached,
        n=found.units,
        method=WORDS[found.method],
        missing=None,
    )


def _unmeasured(metric: Metric, scale: Scale, margin: float, units: int, why: str) -> GuardrailView:
    return GuardrailView(
        metric=metric,
        scale=scale,
        treatment_value=None,
        control_value=None,
        margin=margin,
        outcome="unmeasured",
        harm=None,
        fixed=None,
        anytime=None,
        deteriorated=False,
        breached=False,
        n=units,
        method="",
        missing=why,
    )
