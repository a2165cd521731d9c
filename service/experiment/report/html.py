"""The report as one HTML file: no script, nothing from elsewhere, printable. Everything from data is escaped."""

from __future__ import annotations

from service.experiment.report import formats as f
from service.experiment.report.html_checks import provenance_section, quality_section, shadow_section, srm_section
from service.experiment.report.html_effects import comparison_section, table4_section
from service.experiment.report.html_style import STYLE
from service.experiment.report.markup import Markup, element, joined
from service.experiment.report.schema import Plan, Reason, Report, Verdict


def render_html(report: Report) -> str:
    """The whole page."""
    about = report.provenance
    title = f"{about.experiment}, phase {about.phase}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title}: {f.verdict_words(report.verdict.verdict, report.plan.mode)[0]}"),
        element("style", Markup(STYLE)),
    )
    body = element("body", element("main", *_parts(report, title)))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _parts(report: Report, title: str) -> list[Markup]:
    comparisons = [comparison_section(report.plan, comparison) for comparison in report.comparisons]
    shadow = [shadow_section(report.shadow)] if report.shadow else []
    return [
        _header(report, title),
        _verdict(report.verdict, report.plan),
        table4_section(report),
        *comparisons,
        srm_section(report.srm),
        quality_section(report.quality),
        *shadow,
        provenance_section(report.provenance, report.generated_at),
    ]


def _header(report: Report, title: str) -> Markup:
    about = report.provenance
    window = f"{f.moment(about.from_ms)} to {f.moment(about.until_ms)}" if about.units else "no exposure yet"
    kind = "A/A test" if report.plan.mode == "aa" else "Experiment"
    return element(
        "header",
        element("p", f"{kind} · {window}", class_="muted"),
        element("h1", title),
        element("p", _goal(report.plan)),
    )


def _goal(plan: Plan) -> str:
    if plan.mode == "aa":
        return "Every arm is answered by the same model: no difference is expected."
    if plan.goal == "superiority":
        return "Goal: a click-through rate above the control's."
    return f"Goal: lose less than {f.share(plan.margin)} of the control's click-through rate, and be cheaper."


def _verdict(verdict: Verdict, plan: Plan) -> Markup:
    word, sentence = f.verdict_words(verdict.verdict, plan.mode)
    about = f": {verdict.treatment}" if verdict.treatment and verdict.verdict in {"ship", "stop_harm"} else ""
    rule = (
        "Fixed-horizon intervals decided: the planned units are there."
        if verdict.rule == "fixed"
        else "Anytime-valid intervals decided: the planned units are not there yet, so every look counts."
    )
    more = f" About {f.integer(verdict.more_units)} more units are needed." if verdict.more_units else ""
    several = len(verdict.by_treatment) > 1
    return element(
        "div",
        element("h2", f"{word}{about}"),
        element("p", sentence + more),
        element("ul", *(_reason(reason, several=several) for reason in verdict.reasons)),
        *([] if verdict.verdict == "invalid" else [element("p", rule, class_="note")]),
        class_=f"verdict {verdict.verdict}",
        role="status",
    )


def _reason(reason: Reason, *, several: bool) -> Markup:
    about = element("strong", f"{reason.treatment}: ") if several and reason.treatment else Markup("")
    return element("li", joined(about, reason.text))
