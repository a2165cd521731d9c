"""The report and the plan as text, with tables that fit a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.experiment.planning import ExperimentPlan, Need
from service.experiment.report import formats as f
from service.experiment.report.schema import Report
from service.experiment.report.schema_arms import ArmRow, Comparison, EffectView, ImprovementRow
from service.experiment.report.schema_checks import QualityRow

WIDTH = 120
_STYLES = {"ship": "bold green", "stop_harm": "bold red", "invalid": "bold red", "inconclusive": "bold yellow"}


def render_text(report: Report, *, color: bool = False) -> str:
    """The report in 120 columns; with ANSI colours where a terminal reads it."""
    console = _console(color=color)
    about, verdict = report.provenance, report.verdict
    word, sentence = f.verdict_words(verdict.verdict, report.plan.mode)
    about_arm = f": {verdict.treatment}" if verdict.treatment and verdict.verdict in {"ship", "stop_harm"} else ""
    console.print(
        Text(f"{about.experiment}, phase {about.phase}   {f.moment(about.from_ms)} to {f.moment(about.until_ms)}")
    )
    console.print(Text(f"{word}{about_arm}", style=_STYLES.get(verdict.verdict, "bold")), Text(f"  {sentence}"))
    for reason in verdict.reasons:
        console.print(Text(f"  - {reason.text} [{reason.code}]"))
    if verdict.more_units:
        console.print(Text(f"  - About {f.integer(verdict.more_units)} more units are needed."))
    console.print(_arms(report))
    for comparison in report.comparisons:
        _comparison(console, comparison)
    console.print(_split(report))
    console.print(_quality(report.quality))
    console.print(Text(_source(report)))
    return _printed(console)


def render_plan(plan: ExperimentPlan, *, color: bool = False) -> str:
    """The plan: what was asked, other lifts, and what some weeks would find."""
    console = _console(color=color)
    console.print(
        Text(
            f"From {f.integer(plan.units)} units in {plan.window_days:.1f} days: CTR {f.number(plan.ctr, 5)}, "
            f"{f.integer(plan.units_per_day)} units a day, design effect {plan.design_effect:.2f}."
        )
    )
    asked = plan.asked
    console.print(
        Text(
            f"A lift of {f.share(asked.lift)} is found with a chance of {f.share(plan.power, 0)} by "
            f"{f.integer(asked.units_per_arm)} units in each of {plan.arms} arms, {asked.days} days; "
            f"planned_units = {plan.planned_units}."
        )
    )
    needs = _table("What other lifts need", ("Lift", "Units per arm", "Days", "Deciding at any look", "Days"))
    for need in plan.others:
        needs.add_row(*_need(need))
    console.print(needs)
    reach = _table("What some weeks find", ("Weeks", "Units per arm", "Smallest lift"))
    for one in plan.reach:
        reach.add_row(str(one.weeks), f.integer(one.units_per_arm), f.share(one.lift))
    console.print(reach)
    return _printed(console)


def _need(need: Need) -> tuple[str, ...]:
    return (
        f.share(need.lift, 1),
        f.integer(need.units_per_arm),
        str(need.days),
        f.integer(need.units_per_arm_anytime),
        str(need.days_anytime),
    )


def _arms(report: Report) -> Table:
    table = _table("The arms", ("Arm", "Units", "Click users", "CTR", "FLOPs", "Latency p50", "Latency p99"))
    for arm in report.arms:
        table.add_row(*_arm(arm))
    for improvement in report.improvements:
        table.add_row(*_improvement(improvement), style="bold")
    return table


def _arm(arm: ArmRow) -> tuple[str, ...]:
    latencies = [None if one is None else one.value for one in (arm.latency_p50_us, arm.latency_p99_us)]
    return (
        f"{arm.arm} ({', '.join(arm.models) or 'no answer'})",
        f.integer(arm.units),
        f.integer(arm.click_users),
        f.number(None if arm.ctr is None else arm.ctr.value, 5),
        f.large(arm.flops_effective),
        *(f.milliseconds(latency) for latency in latencies),
    )


def _improvement(row: ImprovementRow) -> tuple[str, ...]:
    cells = (row.click_users, row.ctr, row.flops, row.latency_p50, row.latency_p99)
    return f"Improvement, {row.treatment}", "", *(f.measured_change(one)[0] for one in cells)


def _comparison(console: Console, comparison: Comparison) -> None:
    if comparison.primary is None:
        console.print(Text(f"{comparison.treatment}: no effect to show: {comparison.missing}"))
    else:
        columns = ("", "Effect", "Fixed interval", "Anytime-valid", "p", "p, anytime")
        effects = _table(f"Effect of {comparison.treatment} on CTR", columns)
        for name, view in (("Lift", comparison.primary), ("Difference", comparison.difference), *_adjusted(comparison)):
            if view is not None:
                effects.add_row(name, *_effect(view))
        console.print(effects)
    rails = _table(
        f"Guardrails of {comparison.treatment}", ("Metric", "Control", "Treatment", "Harm", "Margin", "Outcome")
    )
    for rail in comparison.guardrails:
        values = [f.guardrail_value(rail, value) for value in (rail.control_value, rail.treatment_value)]
        rails.add_row(f.GUARDRAILS[rail.metric], *values, f.harm(rail), f.margin(rail), rail.outcome)
    console.print(rails)


def _adjusted(comparison: Comparison) -> tuple[tuple[str, EffectView | None], ...]:
    cuped, cupac = comparison.cuped, comparison.cupac
    return ("Lift, CUPED", cuped.lift if cuped else None), ("Lift, CUPAC", cupac.lift if cupac else None)


def _effect(view: EffectView) -> tuple[str, ...]:
    unit, digits, shown = ("%", 2, f.change) if view.scale == "lift" else ("pp", 3, f.points)
    ends = (f.interval(one, unit, digits) for one in (view.fixed, view.anytime))
    return shown(view.estimate), *ends, f.p_value(view.p), f.p_value(view.p_anytime)


def _split(report: Report) -> Text:
    srm = report.srm
    counts = ", ".join(f"{arm} {f.integer(units)}" for arm, units in srm.counts.items())
    ps = f"sequential p {f.p_value(srm.sequential_p)}, χ² p {f.p_value(srm.chi2_p)}"
    return Text(f"Split: {counts}; {ps}. {srm.diagnosis.text}")


def _quality(quality: Sequence[QualityRow]) -> Table:
    table = _table(
        "The probabilities", ("Arm", "Impressions", "Log loss", "NE", "Calibration", "ECE (chance)", "AUC", "GAUC")
    )
    for arm in quality:
        ranked = [None if one is None else one.value for one in (arm.log_loss, arm.auc, arm.gauc)]
        log_loss, auc, gauc = (f.number(value) for value in ranked)
        calibration = f.NOTHING if arm.calibration is None else f.number(arm.calibration.ratio, 3)
        ece = f.NOTHING if arm.ece is None else f"{f.number(arm.ece.value)} ({f.number(arm.ece.null_p95)})"
        entropy = f.number(arm.normalized_entropy)
        table.add_row(arm.arm, f.integer(arm.impressions), log_loss, entropy, calibration, ece, auc, gauc)
    return table


def _source(report: Report) -> str:
    about = report.provenance
    counted = {
        "units": about.units,
        "requests": about.requests,
        "impressions": about.impressions,
        "clicks": about.clicks,
    }
    counts = ", ".join(f"{f.integer(count)} {name}" for name, count in counted.items())
    dropped = f"{f.share(about.exposure_loss, 3)} of the records dropped"
    return f"{counts}; {dropped}; config {about.config_hash}; made {report.generated_at}"


def _console(*, color: bool) -> Console:
    return Console(
        file=StringIO(), width=WIDTH, force_terminal=color, color_system="standard" if color else None, highlight=False
    )


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, StringIO)  # noqa: S101 - made so above
    return file.getvalue()
