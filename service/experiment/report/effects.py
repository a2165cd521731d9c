"""The effect of each treatment on CTR: now, at every look so far, and adjusted by the units' pasts.

The verdict rests on the plain lift. CUPED and CUPAC stand beside it: they are sharper where units have a history, and
deciding by whichever of three numbers suits best would be peeking in another form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from service.experiment.document import Analysis
from service.experiment.judgement import ENOUGH
from service.experiment.report.arrays import Floats, Phase
from service.experiment.report.schema_arms import AdjustedView, EffectView, Look
from service.experiment.statistics.cuped import History, adjusted
from service.experiment.statistics.effect import Effect
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.guardrails import non_inferiority
from service.experiment.statistics.multiplicity import holm
from service.experiment.statistics.ratio import RatioSums, absolute_effect, lift
from service.experiment.statistics.sequential import anytime_interval, anytime_p

SumsByLook = Sequence[Sequence[RatioSums]]

WORDS = {
    "delta": "ratio of sums over units, delta method clustered by unit",
    "fieller": "ratio of sums over units, Fieller's interval for a small or noisy control",
    "cuped": "ratio of sums over units, linear adjustment by the units' pasts",
    "outer": "order statistics, ranks clustered by unit",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What one treatment did to CTR."""

    lift: Effect | None
    difference: Effect | None
    p_anytime: float
    """Against no effect, smallest of all looks; 1 if there is no lift."""
    success_p: float
    """Two-sided, fixed, against the threshold that the goal sets."""
    success_p_anytime: float
    looks: tuple[Look, ...]
    missing: str | None
    """Why there is no lift."""


def find(phase: Phase, sums_TK: SumsByLook, treatment: int, analysis: Analysis, srm_p_T: Floats) -> Found:
    """The effect of an arm, an index into the phase's, against the control.

    Args:
        phase: what was read.
        sums_TK: its `sums_by_look`, which all treatments share.
        treatment: index of the arm.
        analysis: the standard.
        srm_p_T: sequential p of an SRM at each look.
    """
    looks = _looks(phase, sums_TK, treatment, analysis, srm_p_T)
    sums, control = phase.sums(treatment), phase.sums(0)
    try:
        now, absolute = lift(sums, control, alpha=analysis.alpha), absolute_effect(sums, control, alpha=analysis.alpha)
    except StatisticsError as error:
        return Found(
            lift=None,
            difference=None,
            p_anytime=1.0,
            success_p=1.0,
            success_p_anytime=1.0,
            looks=looks,
            missing=str(error),
        )
    planned = analysis.planned_units
    accepted = threshold(analysis)
    above = now.estimate > -accepted
    return Found(
        lift=now,
        difference=absolute,
        p_anytime=min((look.p_anytime for look in looks if look.p_anytime is not None), default=1.0),
        success_p=_beyond(now, accepted, planned) if above else 1.0,
        success_p_anytime=anytime_p(replace(now, estimate=now.estimate + accepted), planned=planned) if above else 1.0,
        looks=looks,
        missing=None,
    )


def threshold(analysis: Analysis) -> float:
    """The relative loss of CTR that success still allows."""
    return analysis.margin if analysis.goal == "non_inferiority" else 0.0


def _beyond(effect: Effect, accepted: float, planned: int) -> float:
    """Two-sided p against a lift of -accepted: twice the one-sided one."""
    one_sided = non_inferiority(effect, accepted, harm="drop", planned=planned).p if accepted > 0 else effect.p_greater
    return min(1.0, 2 * one_sided)


def _looks(phase: Phase, sums_TK: SumsByLook, treatment: int, analysis: Analysis, srm_p_T: Floats) -> tuple[Look, ...]:
    smallest, looks = 1.0, []
    for ts_ms, sums_K, srm_p in zip(phase.looks_T.tolist(), sums_TK, srm_p_T.tolist(), strict=True):
        n = sums_K[treatment].n + sums_K[0].n
        try:
            effect = lift(sums_K[treatment], sums_K[0], alpha=analysis.alpha)
        except StatisticsError:
            looks.append(Look(ts_ms=ts_ms, n=n, srm_p=srm_p))
            continue
        if min(sums_K[treatment].n, sums_K[0].n) >= ENOUGH:
            smallest = min(smallest, anytime_p(effect, planned=analysis.planned_units))
        look = Look(
            ts_ms=ts_ms,
            n=n,
            estimate=effect.estimate,
            fixed=effect.interval,
            anytime=anytime_interval(effect, planned=analysis.planned_units),
            p_anytime=smallest,
            srm_p=srm_p,
        )
        looks.append(look)
    return tuple(looks)


def corrected(p_M: list[float]) -> list[float]:
    """After Holm."""
    return [float(p) for p in holm(np.array(p_M))] if p_M else []


def view(
    effect: Effect,
    scale: Literal["lift", "difference"],
    planned: int,
    *,
    p_anytime: float | None = None,
    p_holm: float | None = None,
    p_anytime_holm: float | None = None,
) -> EffectView:
    """An effect as the report shows it."""
    return EffectView(
        metric="ctr",
        scale=scale,
        estimate=effect.estimate,
        se=effect.se,
        n=effect.units,
        method=WORDS[effect.method],
        fixed=effect.interval,
        anytime=anytime_interval(effect, planned=planned),
        p=effect.p,
        p_anytime=anytime_p(effect, planned=planned) if p_anytime is None else p_anytime,
        p_holm=p_holm,
        p_anytime_holm=p_anytime_holm,
    )


def adjusted_view(phase: Phase, treatment: int, analysis: Analysis, before_U: Floats) -> AdjustedView | None:
    """The lift adjusted by clicks (CUPED) or expected clicks (CUPAC) before the phase; None where there are none."""
    rows = phase.rows
    impressions_U = rows.history_impressions_U
    if not before_U.any():
        return None
    pair = [
        History(phase.clicks_U[in_U], phase.impressions_U[in_U], before_U[in_U], impressions_U[in_U])
        for in_U in (phase.arm_U == treatment, phase.arm_U == 0)
    ]
    try:
        found = adjusted(*pair, alpha=analysis.alpha)
    except StatisticsError:
        return None
    return AdjustedView(
        lift=view(found.lift, "lift", analysis.planned_units),
        theta=found.theta,
        variance_reduction=found.variance_reduction,
        covered=found.covered,
    )
