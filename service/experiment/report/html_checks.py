"""Sections of the HTML report: the split, the quality of probabilities, the shadow, where it all comes from."""

from __future__ import annotations

from collections.abc import Sequence

from service.experiment.report import formats as f
from service.experiment.report.charts import reliability_chart
from service.experiment.report.html_tables import cell, row, section, table
from service.experiment.report.markup import Markup, element
from service.experiment.report.schema import Provenance
from service.experiment.report.schema_arms import Measured
from service.experiment.report.schema_checks import QualityRow, ShadowRow, SrmView


def srm_section(srm: SrmView) -> Markup:
    """Whether the arms hold what their weights promise."""
    total = sum(srm.counts.values())
    rows = [
        row(arm, f.integer(units), f.integer(total * srm.shares[arm]), f.share(units / total if total else None))
        for arm, units in srm.counts.items()
    ]
    pill = element("span", "mismatch" if srm.alarm else "as promised", class_=f"pill {'fail' if srm.alarm else 'pass'}")
    found = (
        f" Sequential p {f.p_value(srm.sequential_p)}, χ² p {f.p_value(srm.chi2_p)}; "
        f"an alarm is raised below {srm.alarm_below:g} of the first."
    )
    diagnosis = [element("p", srm.diagnosis.text)] if srm.alarm else []
    return section(
        "The split",
        element("p", pill if total else Markup(""), found),
        *diagnosis,
        table("Units of each arm", ("Arm", "Units", "Promised", "Share"), rows),
        _deviations(srm),
    )


def _deviations(srm: SrmView) -> Markup:
    rows = [
        row(
            f"{one.dimension} {one.level}",
            ", ".join(f"{arm} {f.integer(units)}" for arm, units in one.counts.items()),
            f.p_value(one.p_adjusted),
            f.p_value(one.p_rest),
        )
        for one in srm.diagnosis.deviations
    ]
    if not rows:
        return Markup("")
    columns = ("Level", "Units", "p after Holm", "p of the rest")
    inside = table("Levels in which the arms are most uneven, known before an arm could matter", columns, rows)
    return element("details", element("summary", "Where the arms are most uneven"), inside)


def quality_section(quality: Sequence[QualityRow]) -> Markup:
    """NE, calibration, ECE, AUC, GAUC and reliability diagrams."""
    columns = ("Arm", "Impressions", "Log loss", "NE", "Calibration", "ECE", "AUC", "GAUC")
    charts = [
        element(
            "figure",
            reliability_chart(arm.ece.bins, arm.arm),
            element("figcaption", f"{arm.arm}: dots on the diagonal are calibrated; bars are what chance allows."),
        )
        for arm in quality
        if arm.ece is not None
    ]
    missing = [element("p", f"{arm.arm}: {'; '.join(arm.missing)}", class_="note") for arm in quality if arm.missing]
    caption = "Of each arm's own impressions: arms are comparable as far as their impressions are."
    return section(
        "The probabilities",
        table(caption, columns, [_quality(arm) for arm in quality]),
        *missing,
        element("div", *charts, class_="pair"),
    )


def _quality(arm: QualityRow) -> Markup:
    calibration = cell(f.NOTHING)
    if arm.calibration is not None:
        style = None if arm.calibration.within_null else "bad"
        band = f"chance: {f.between(arm.calibration.null_band, 3)}"
        calibration = cell(f.number(arm.calibration.ratio, 3), band, style)
    ece = cell(f.NOTHING)
    if arm.ece is not None:
        style = "bad" if arm.ece.value > arm.ece.null_p95 else None
        ece = cell(f.number(arm.ece.value), f"chance: up to {f.number(arm.ece.null_p95)}", style)
    return row(
        arm.arm,
        f.integer(arm.impressions),
        _ranked(arm.log_loss),
        f.number(arm.normalized_entropy),
        calibration,
        ece,
        _ranked(arm.auc),
        _ranked(arm.gauc),
    )


def _ranked(measured: Measured | None) -> Markup:
    return cell(f.NOTHING) if measured is None else cell(f.number(measured.value), f.between(measured.interval))


def shadow_section(rows: Sequence[ShadowRow]) -> Markup:
    """Two models on the same candidates."""
    columns = (
        "Models",
        "Requests",
        "|Δp|",
        "|Δlogit|",
        "Kendall τ",
        "Top-k overlap",
        "RBO",
        "Top-1 flips",
        "Latency, p50",
    )
    caption = "What was answered against what the other model would have said; means, with p95 and p99 below."
    note = "Agreement, not clicks: what a shadow says was never shown to anybody."
    return section(
        "The shadow", table(caption, columns, [_shadow(one) for one in rows]), element("p", note, class_="note")
    )


def _shadow(one: ShadowRow) -> Markup:
    gap, logit = one.probability_gap, one.logit_gap
    return row(
        f"{one.primary} / {one.shadow}",
        f.integer(one.n),
        cell(f.number(gap.mean), f"{f.number(gap.p95)}, {f.number(gap.p99)}"),
        cell(f.number(logit.mean, 3), f"{f.number(logit.p95, 3)}, {f.number(logit.p99, 3)}"),
        f.number(one.kendall_tau_b, 3),
        f.number(one.top_k_overlap, 3),
        f.number(one.rank_biased_overlap, 3),
        f.share(one.top_1_flips, 1),
        cell(f.milliseconds(one.primary_us.p50), f"shadow {f.milliseconds(one.shadow_us.p50)}"),
    )


def provenance_section(about: Provenance, generated_at: str) -> Markup:
    """Enough to make the report again."""
    reasons = ", ".join(f"{reason} {f.integer(count)}" for reason, count in about.reasons.items()) or f.NOTHING
    facts = {
        "Experiment": f"{about.experiment}, phase {about.phase}",
        "Documents": ", ".join(f"{one.revision} ({one.action})" for one in about.revisions),
        "Config hash": about.config_hash,
        "Units": f.integer(about.units),
        "Requests": f"{f.integer(about.requests)}, {f.integer(about.answered)} answered",
        "Impressions": f.integer(about.impressions),
        "Clicks": f.integer(about.clicks),
        "Exposures by reason": reasons,
        "Records dropped": f"{f.integer(about.losses)} ({f.share(about.exposure_loss, 3)})",
        "Units in several arms": f"{f.integer(about.multi_arm_units)} ({f.share(about.multi_arm_share, 3)})",
        "Stray feedback": f.integer(about.strays),
        "Made": generated_at,
    }
    entries = [element("div", element("dt", name), element("dd", value)) for name, value in facts.items()]
    return section("Where this comes from", element("dl", *entries, class_="facts"))
