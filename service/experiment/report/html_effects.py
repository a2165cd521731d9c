"""Sections of the HTML report: the arms' table, and each treatment against the control."""

from __future__ import annotations

from service.experiment.report import formats as f
from service.experiment.report.charts import effect_chart, guardrail_chart
from service.experiment.report.html_tables import cell, row, section, table
from service.experiment.report.markup import Markup, element
from service.experiment.report.schema import Plan, Report
from service.experiment.report.schema_arms import (
    ArmRow,
    Comparison,
    EffectView,
    GuardrailView,
    ImprovementRow,
    Look,
    Measured,
)

_FEWEST_LOOKS = 2


def table4_section(report: Report) -> Markup:
    """Click users, CTR, FLOPs and latency of every arm, and what each treatment improves."""
    rows = [_arm(arm) for arm in report.arms] + [_improvement(improvement) for improvement in report.improvements]
    columns = ("Arm", "Units", "Click users", "CTR", "FLOPs / candidate", "Latency, p50", "Latency, p99")
    caption = "Below each number its interval; improvements are better where they are positive."
    return section("The arms", table(caption, columns, rows))


def comparison_section(plan: Plan, comparison: Comparison) -> Markup:
    """The effect of one treatment, over time, and its guardrails."""
    heading = f"Effect of {comparison.treatment} on CTR"
    if comparison.primary is None:
        missing = element("p", f"There is no effect to show: {comparison.missing}")
        return section(heading, missing, element("h3", "Guardrails"), _guardrails(comparison))
    return section(
        heading,
        _over_time(plan, comparison),
        _effects(comparison),
        element("h3", "Guardrails"),
        _guardrails(comparison),
    )


def _arm(arm: ArmRow) -> Markup:
    name = element("div", arm.arm, element("div", ", ".join(arm.models) or "no answer", class_="muted"))
    flops = "" if arm.flops_executed is None else f"{f.large(arm.flops_executed)} executed"
    return row(
        name,
        f.integer(arm.units),
        f.integer(arm.click_users),
        _ctr(arm.ctr),
        cell(f.large(arm.flops_effective), flops),
        _latency(arm.latency_p50_us),
        _latency(arm.latency_p99_us),
    )


def _ctr(measured: Measured | None) -> Markup:
    return cell(f.NOTHING) if measured is None else cell(f.number(measured.value), f.between(measured.interval))


def _latency(measured: Measured | None) -> Markup:
    if measured is None or measured.interval is None:
        return cell(f.NOTHING)
    low, high = (f.milliseconds(end).removesuffix(" ms") for end in measured.interval)
    return cell(f.milliseconds(measured.value), f"{low} to {high}")


def _improvement(improvement: ImprovementRow) -> Markup:
    return row(
        f"Improvement, {improvement.treatment}",
        "",
        _better(improvement.click_users),
        _better(improvement.ctr),
        _better(improvement.flops),
        _better(improvement.latency_p50),
        _better(improvement.latency_p99),
        class_="improvement",
    )


def _better(measured: Measured | None) -> Markup:
    """Coloured only where the interval leaves out zero."""
    value, ends = f.measured_change(measured)
    if measured is None:
        return cell(value)
    low, high = measured.interval or (measured.value, measured.value)
    style = "good" if low > 0 else "bad" if high < 0 else None
    return cell(value, ends, style)


def _over_time(plan: Plan, comparison: Comparison) -> Markup:
    accepted = plan.margin if plan.goal == "non_inferiority" and plan.mode == "ab" else 0.0
    known = [look for look in comparison.over_time if look.estimate is not None]
    if len(known) < _FEWEST_LOOKS:
        return element("p", "Too few looks for a chart.", class_="muted")
    entries = [("line", "lift"), ("fixed", "fixed interval, for one look"), ("anytime", "anytime-valid interval")]
    entries += [("dash", f"accepted loss, {f.share(accepted)}")] if accepted else []
    legend = [element("li", element("span", class_=style), text) for style, text in entries]
    chart = element("div", effect_chart(known, accepted), class_="wide-chart")
    looks = table(
        "Looks, evenly spaced in time",
        ("Until", "Units", "Lift", "Fixed", "Anytime", "SRM p"),
        [_look(look) for look in comparison.over_time],
    )
    return element(
        "div",
        element("ul", *legend, class_="legend"),
        element("div", chart, class_="scroll", tabindex=0, role="region", aria_label="Effect over time"),
        element("details", element("summary", "The same in numbers"), looks),
    )


def _look(look: Look) -> Markup:
    ends = (f.interval(look.fixed), f.interval(look.anytime))
    return row(f.moment(look.ts_ms), f.integer(look.n), f.change(look.estimate), *ends, f.p_value(look.srm_p))


def _effects(comparison: Comparison) -> Markup:
    rows = [_effect(name, view) for name, view in _views(comparison) if view is not None]
    columns = ("", "Effect", "Fixed interval", "Anytime-valid", "p, one look", "p, anytime", "Units")
    note = f"Method: {comparison.primary.method}." if comparison.primary is not None else ""
    adjusted = [
        f"{name} explains {f.share(max(view.variance_reduction, 0.0), 1)} of the variance; "
        f"{f.share(view.covered, 0)} of the units have a history."
        for name, view in (("CUPED", comparison.cuped), ("CUPAC", comparison.cupac))
        if view is not None
    ]
    caption = "The verdict rests on the lift; what is adjusted by the units' pasts stands beside it."
    return element("div", table(caption, columns, rows), element("p", " ".join([note, *adjusted]), class_="note"))


def _views(comparison: Comparison) -> list[tuple[str, EffectView | None]]:
    return [
        ("Lift", comparison.primary),
        ("Difference", comparison.difference),
        ("Lift, CUPED", comparison.cuped.lift if comparison.cuped else None),
        ("Lift, CUPAC", comparison.cupac.lift if comparison.cupac else None),
    ]


def _effect(name: str, view: EffectView) -> Markup:
    unit, digits, shown = ("%", 2, f.change) if view.scale == "lift" else ("pp", 3, f.points)
    p_holm = "" if view.p_holm is None or view.p_holm == view.p else f"{f.p_value(view.p_holm)} Holm"
    return row(
        name,
        shown(view.estimate),
        f.interval(view.fixed, unit, digits),
        f.interval(view.anytime, unit, digits),
        cell(f.p_value(view.p), p_holm),
        f.p_value(view.p_anytime),
        f.integer(view.n),
    )


def _guardrails(comparison: Comparison) -> Markup:
    columns = ("Metric", "Control", "Treatment", "Harm, fixed interval", "Margin", "Outcome", "")
    caption = "Harm is positive where the treatment is worse; it must stay below the margin, the dashed line."
    return table(caption, columns, [_guardrail(rail) for rail in comparison.guardrails])


def _guardrail(rail: GuardrailView) -> Markup:
    outcome = element("span", rail.outcome, class_=f"pill {rail.outcome}")
    if rail.missing is not None:
        return row(
            f.GUARDRAILS[rail.metric],
            f.NOTHING,
            f.NOTHING,
            element("td", rail.missing, class_="words"),
            f.margin(rail),
            outcome,
            "",
        )
    return row(
        f.GUARDRAILS[rail.metric],
        f.guardrail_value(rail, rail.control_value),
        f.guardrail_value(rail, rail.treatment_value),
        cell(f.change(rail.harm) if rail.scale == "lift" else f.points(rail.harm), _ends(rail)),
        f.margin(rail),
        outcome,
        element("td", element("div", guardrail_chart(rail), class_="glyph")),
    )


def _ends(rail: GuardrailView) -> str:
    return f.interval(rail.fixed) if rail.scale == "lift" else f.interval(rail.fixed, "pp", 3)
