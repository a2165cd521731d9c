"""From what was read of a phase to the report: pure, no store and no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.events.reading import PhaseRows
from service.events.records import ShadowComparison
from service.experiment.document import Experiment
from service.experiment.evidence import Cost, Ctr, Evidence, Treatment
from service.experiment.model_facts import ModelFacts
from service.experiment.report.arrays import Floats, Phase
from service.experiment.report.effects import Found, adjusted_view, corrected, find, view
from service.experiment.report.guarding import guardrails
from service.experiment.report.mismatch import mismatch, srm_over_time
from service.experiment.report.quality_rows import quality_row
from service.experiment.report.schema import SCHEMA, Plan, Provenance, Report
from service.experiment.report.schema_arms import Comparison, Decided, GuardrailView, ImprovementRow
from service.experiment.report.shadow_rows import shadow_rows
from service.experiment.report.subject import Subject
from service.experiment.report.table import arm_row, improvement_row, own_models
from service.experiment.statistics.sequential import anytime_interval
from service.experiment.verdict import decide


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """All that a report is made from."""

    subject: Subject
    rows: PhaseRows
    facts: Mapping[str, ModelFacts]
    """`name@version` → what it costs."""
    raw: Mapping[str, str]
    """Unit → arm of its first exposure, of units stored as they are."""
    shadows: Sequence[ShadowComparison]


def analyse(read: Read, *, generated_at: str) -> Report:
    """The report on what was read; no number that the data do not give is made up."""
    run = read.subject.experiment
    analysis = run.analysis
    phase = Phase.of(read.rows, tuple(arm.name for arm in run.arms))
    srm_p_T = srm_over_time(phase, run)
    provenance = _provenance(read, phase)
    sums_TK = phase.sums_by_look()
    treatments = range(1, len(phase.arms))
    found = [find(phase, sums_TK, treatment, analysis, srm_p_T) for treatment in treatments]
    rails = [guardrails(phase, treatment, analysis) for treatment in treatments]
    improvements = tuple(improvement_row(phase, treatment, analysis.alpha, read.facts) for treatment in treatments)
    plan = _plan(run)
    verdict = decide(
        _evidence(plan, phase, provenance, srm_p_T=srm_p_T, found=found, rails=rails, improvements=improvements)
    )
    return Report(
        schema=SCHEMA,
        generated_at=generated_at,
        plan=plan,
        verdict=verdict,
        arms=tuple(arm_row(phase, arm, run, read.facts) for arm in range(len(phase.arms))),
        improvements=improvements,
        comparisons=_comparisons(phase, run, found, rails, verdict.by_treatment),
        srm=mismatch(phase, run, srm_p_T, read.raw),
        quality=tuple(quality_row(phase, arm, analysis.alpha) for arm in range(len(phase.arms))),
        shadow=shadow_rows(read.shadows),
        provenance=provenance,
    )


def _plan(run: Experiment) -> Plan:
    analysis = run.analysis
    return Plan(
        mode=run.mode,
        goal=analysis.goal,
        margin=analysis.margin,
        alpha=analysis.alpha,
        power=analysis.power,
        planned_units=analysis.planned_units,
    )


def _provenance(read: Read, phase: Phase) -> Provenance:
    rows, units = read.rows, len(read.rows.unit_hash_U)
    recorded = len(rows.ts_ms_E) + int((rows.status_E > 0).sum())
    models = {arm: own_models(phase, number) for number, arm in enumerate(phase.arms)}
    return Provenance(
        experiment=read.subject.experiment.name,
        phase=read.subject.experiment.phase,
        revisions=read.subject.revisions,
        config_hash=read.subject.config_hash,
        from_ms=phase.from_ms if units else None,
        until_ms=phase.until_ms if units else None,
        units=units,
        requests=len(rows.ts_ms_E),
        answered=int((rows.status_E > 0).sum()),
        impressions=len(rows.clicked_I),
        clicks=int(np.count_nonzero(rows.clicked_I)),
        strays=rows.strays,
        reasons=dict(sorted(rows.reasons.items())),
        losses=rows.losses,
        exposure_loss=rows.losses / (recorded + rows.losses) if rows.losses else 0.0,
        multi_arm_units=rows.multi_arm_units,
        multi_arm_share=rows.multi_arm_units / units if units else 0.0,
        mixed_models={arm: names for arm, names in models.items() if len(names) > 1},
    )


def _evidence(
    plan: Plan,
    phase: Phase,
    provenance: Provenance,
    *,
    srm_p_T: Floats,
    found: Sequence[Found],
    rails: Sequence[tuple[GuardrailView, ...]],
    improvements: Sequence[ImprovementRow],
) -> Evidence:
    ctrs = _ctrs(found, plan)
    units_K = phase.units_by_arm().tolist()
    treatments = tuple(
        Treatment(
            arm=phase.arms[number],
            units=units_K[number] + units_K[0],
            fewest_units=min(units_K[number], units_K[0]),
            ctr=ctr,
            missing=one.missing or "",
            cost=_cost(rails_of, improvement),
            guardrails=rails_of,
        )
        for number, (one, ctr, rails_of, improvement) in enumerate(
            zip(found, ctrs, rails, improvements, strict=True), start=1
        )
    )
    return Evidence(
        plan=plan,
        srm_p=float(srm_p_T[-1]) if len(srm_p_T) else None,
        exposure_loss=provenance.exposure_loss,
        multi_arm_share=provenance.multi_arm_share,
        mixed_models=provenance.mixed_models,
        unknown_arms=[arm for arm in phase.rows.arms if arm not in phase.arms],
        treatments=treatments,
    )


def _ctrs(found: Sequence[Found], plan: Plan) -> list[Ctr | None]:
    """The lifts as the verdict needs them: p-values after Holm over the treatments."""
    p_holm = corrected([one.success_p for one in found])
    p_anytime_holm = corrected([one.success_p_anytime for one in found])
    p_difference = corrected([one.p_anytime for one in found])
    return [
        None
        if one.lift is None
        else Ctr(
            estimate=one.lift.estimate,
            fixed=one.lift.interval,
            anytime=anytime_interval(one.lift, planned=plan.planned_units),
            p=p_holm[index],
            p_anytime=p_anytime_holm[index],
            p_difference=p_difference[index],
        )
        for index, one in enumerate(found)
    ]


def _cost(rails: Sequence[GuardrailView], improvement: ImprovementRow) -> Cost:
    [latency] = [rail for rail in rails if rail.metric == "latency_p99"]
    return Cost(
        flops_saved=None if improvement.flops is None else improvement.flops.value,
        latency_fixed=latency.fixed,
        latency_anytime=latency.anytime,
    )


def _comparisons(
    phase: Phase,
    run: Experiment,
    found: Sequence[Found],
    rails: Sequence[tuple[GuardrailView, ...]],
    verdicts: Mapping[str, Decided],
) -> tuple[Comparison, ...]:
    planned = run.analysis.planned_units
    p_holm = corrected([one.lift.p if one.lift else 1.0 for one in found])
    p_anytime_holm = corrected([one.p_anytime for one in found])
    return tuple(
        Comparison(
            treatment=phase.arms[number],
            verdict=verdicts[phase.arms[number]],
            primary=None
            if one.lift is None
            else view(one.lift, "lift", planned, p_anytime=one.p_anytime, p_holm=p_fixed, p_anytime_holm=p_always),
            difference=None if one.difference is None else view(one.difference, "difference", planned),
            cuped=adjusted_view(phase, number, run.analysis, phase.rows.history_clicks_U),
            cupac=adjusted_view(phase, number, run.analysis, phase.rows.history_expected_U),
            guardrails=rails_of,
            over_time=one.looks,
            missing=one.missing,
        )
        for number, (one, rails_of, p_fixed, p_always) in enumerate(
            zip(found, rails, p_holm, p_anytime_holm, strict=True), start=1
        )
    )
