"""What both papers claim and what this project asks of itself, held against a report's figures.

A claim that one row is better than another holds if the mean difference in AUC over the seeds says so and its paired
t-test has p < 0.05; the reverse is said just as plainly. Claims whose rows are not in the report are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any, Literal

from training.reproduce.statistics import compare

Plain = Mapping[str, Any]
Rows = Mapping[str, Plain]
Holds = Literal["yes", "no", "not shown", "the reverse"]

SIGNIFICANT = 0.05
MATCHED = 0.001
"""AUC by which a row may stay below its published figure."""
NEAR_AUC, NEAR_LOG_LOSS = 0.0003, 0.0005
"""What a distilled student may lose to its teacher."""
STUDENT, STUDENT_FLOPS = "KD-DAGFM_FT-outer", 4032
"""The papers' student held against fixed figures, and the published FLOPs for seven fields, d = 16, three layers."""
REQUIRED, MOONSHOT = 0.9000, 0.9020
"""Test AUC; the best published one is 0.8976."""
FIGURES_OF = "movielens"
"""The data set that these three are asked of."""


@dataclass(frozen=True)
class Claim:
    """One line: what is claimed, what was found, whether it holds."""

    claim: str
    found: str
    holds: Holds


def claims(tables: Plain, data: str) -> list[Plain]:
    """Every claim that the tables of `report.json` have rows for; fixed figures are asked of their own data alone."""
    finished: dict[str, Rows] = {
        name: {row["label"]: row for row in table["rows"] if row["seeds"]} for name, table in tables.items()
    }
    makers = (*_MAKERS, _students) if data == FIGURES_OF else _MAKERS
    return [asdict(claim) for make in makers for claim in make(finished)]


def _published(tables: Mapping[str, Rows]) -> Iterator[Claim]:
    gaps = {
        label: row["auc"]["mean"] - row["published"]["auc"]
        for label, row in tables.get("table3", {}).items()
        if row["published"] is not None
    }
    if gaps:
        worst, best = min(gaps, key=gaps.__getitem__), max(gaps, key=gaps.__getitem__)
        found = f"{len(gaps)} rows, from {worst} {gaps[worst]:+.4f} to {best} {gaps[best]:+.4f}"
        claim = f"every published row of Table 3 is matched within {MATCHED} AUC or beaten"
        yield Claim(claim, found, "yes" if gaps[worst] >= -MATCHED else "no")


def _imitation(tables: Mapping[str, Rows]) -> Iterator[Claim]:
    """Of each student of Table 3, then of all with those of Table 5."""
    wanted = f"at most {NEAR_AUC} AUC and {NEAR_LOG_LOSS} log loss to"
    ours, plus = tables.get("table3", {}), tables.get("table5", {})
    students = [ours[label] for label in ("KD-DAGFM-inner", "KD-DAGFM-outer") if label in ours]
    for row in students:
        yield _near(f"{row['label']} loses {wanted} its teacher, in the mean over seeds", [row])
    students += [row for label, row in plus.items() if label.endswith("→ DAGFM+")]
    if students:
        yield _near(f"distilled DAGFMs lose {wanted} their teachers, in the mean over students and seeds", students)


def _near(claim: str, students: list[Plain]) -> Claim:
    gaps = {name: [row["against"][name]["difference"] for row in students] for name in ("auc", "log_loss")}
    auc, log_loss = mean(gaps["auc"]), mean(gaps["log_loss"])
    found = f"AUC {auc:+.5f}, log loss {log_loss:+.5f}"
    if len(students) > 1:
        worst = min(students, key=lambda row: row["against"]["auc"]["difference"])
        found += f"; {len(students)} students, the farthest {worst['label']} {min(gaps['auc']):+.5f}"
    return Claim(claim, found, "yes" if auc >= -NEAR_AUC and log_loss <= NEAR_LOG_LOSS else "no")


def _nearest(tables: Mapping[str, Rows]) -> Iterator[Claim]:
    """Table 2: of all students of one teacher its DAGFM comes nearest, by the absolute difference in AUC."""
    students = [row for row in tables.get("table2", {}).values() if row.get("against") is not None]
    for teacher, dagfm in (("CIN", "CIN → DAGFM-inner"), ("CrossNet", "CrossNet → DAGFM-outer")):
        gaps = {
            row["label"]: row["against"]["auc"]["difference"] for row in students if row["against"]["label"] == teacher
        }
        if dagfm in gaps and len(gaps) > 1:
            first, second = sorted(gaps, key=lambda label: abs(gaps[label]))[:2]
            found = f"{first} {gaps[first]:+.4f}, then {second} {gaps[second]:+.4f}"
            claim = f"of {len(gaps)} students of {teacher} its DAGFM comes nearest to it"
            yield Claim(claim, found, "yes" if first == dagfm else "no")


def _students(tables: Mapping[str, Rows]) -> Iterator[Claim]:
    """The papers' best student, and ours."""
    ours = [row for label, row in tables.get("beyond", {}).items() if " → " in label]
    theirs = [row for label, row in tables.get("table3", {}).items() if label == STUDENT]
    for row in theirs + ours:
        found = f"{row['auc']['mean']:.4f}, {row['flops']:,} FLOPs"
        for wanted, name in ((REQUIRED, "required"), (MOONSHOT, "hoped for")):
            holds = row["auc"]["mean"] >= wanted and row["flops"] <= STUDENT_FLOPS
            claim = f"{row['label']} has a mean AUC of {wanted:.4f} ({name}) with at most {STUDENT_FLOPS:,} FLOPs"
            yield Claim(claim, found, "yes" if holds else "no")


def _distilling_pays(tables: Mapping[str, Rows]) -> Iterator[Claim]:
    """The same student with and without a teacher."""
    rows = tables.get("table3", {})
    for kind in ("inner", "outer"):
        tuned, alone = rows.get(f"KD-DAGFM_FT-{kind}"), rows.get(f"DAGFM-{kind} (student)")
        if tuned is not None and alone is not None and set(tuned["seeds"]) & set(alone["seeds"]):
            yield _compared(tuned["label"], _paired(tuned, alone))


def _paired(ours: Plain, other: Plain) -> Plain:
    """What a row holds in `against`, for a row it was not compared with: over the seeds that both have."""
    plain: dict[str, Any] = {"label": other["label"]}
    for name in ("auc", "log_loss"):
        left, right = (dict(zip(row["seeds"], row[name]["values"], strict=True)) for row in (ours, other))
        seeds = [seed for seed in left if seed in right]
        result = compare([left[seed] for seed in seeds], [right[seed] for seed in seeds])
        plain[name] = {"difference": result.difference, "p": result.p}
    return plain


def _all_better(table: str, claim: str) -> Callable[[Mapping[str, Rows]], Iterator[Claim]]:
    """A table whose every student is claimed to be better than the row it is compared with."""

    def make(tables: Mapping[str, Rows]) -> Iterator[Claim]:
        students = [row for row in tables.get(table, {}).values() if row.get("against") is not None]
        if not students:
            return
        verdicts = [_compared(row["label"], row["against"]).holds for row in students]
        better, worse = verdicts.count("yes"), verdicts.count("the reverse")
        gaps = {row["label"]: row["against"]["auc"]["difference"] for row in students}
        least, most = min(gaps, key=gaps.__getitem__), max(gaps, key=gaps.__getitem__)
        found = f"{better} of {len(students)} better, {worse} worse (p < {SIGNIFICANT})"
        found += f"; from {least} {gaps[least]:+.4f} to {most} {gaps[most]:+.4f}"
        holds: Holds = "yes" if better == len(students) else "no" if worse else "not shown"
        yield Claim(claim, found, holds)

    return make


def _better(table: str, labels: tuple[str, ...]) -> Callable[[Mapping[str, Rows]], Iterator[Claim]]:
    """Rows claimed to be better than the rows they are compared with."""

    def make(tables: Mapping[str, Rows]) -> Iterator[Claim]:
        for label in labels:
            row = tables.get(table, {}).get(label)
            if row is not None and row.get("against") is not None:
                yield _compared(label, row["against"])

    return make


def _compared(label: str, against: Plain) -> Claim:
    difference, p = against["auc"]["difference"], against["auc"]["p"]
    told = f"AUC {difference:+.4f}, log loss {against['log_loss']['difference']:+.4f}"
    shown = p is not None and p < SIGNIFICANT
    holds: Holds = "not shown" if not shown else "yes" if difference > 0 else "the reverse"
    return Claim(
        f"{label} is better than {against['label']}", told + (f", p = {p:.2g}" if p is not None else ""), holds
    )


_MAKERS = (
    _published,
    _imitation,
    _nearest,
    _better("table3", ("KD-DAGFM_FT-inner", "KD-DAGFM_FT-outer")),
    _distilling_pays,
    _better("table5", tuple(f"{name} → DAGFM+, fine-tuned" for name in ("xDeepFM", "DCNV2", "AutoInt+", "FiBiNet"))),
    _all_better("eckd2", "every scheme of ECKD's Table 2 is better than the DNN without a teacher"),
    _all_better("eckd3", "every student of ECKD's Table 3 is better than its teacher"),
    _better("eckd4", tuple(f"{name} → DNN" for name in ("3T(M)", "3T(D)", "6T(M)", "6T(D)"))),
    _better("eckd_figure3", ("3T → DNN, gated", "6T → DNN, gated", "3T → DNN, stopped by distillation loss")),
    _all_better("beyond", "several of a kind, and the student that learned from them, are better than one of the kind"),
)
