"""The report as Markdown: one table per table of the papers, ours beside theirs, and the figures as pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Plain = Mapping[str, Any]

_HEAD = (
    "Test figures: mean ± sample standard deviation over the seeds. *published* is what the paper prints for this data "
    "set; *theirs* is a difference that the paper prints for another one, for its sign and size. *Δ* is the difference "
    "to the row in *less*, seed by seed, with its two-tailed paired t-test. FLOPs are multiplications per row (a "
    "multiply-add counts once), parameters those beside the embedding table, latency that of onnxruntime on one thread "
    "for one context with N candidates."
)


def markdown(report: Plain, pictures: Mapping[str, str], command: str) -> str:
    """The whole page.

    Args:
        report: `report.json`.
        pictures: table's name → file name of its picture.
        command: what made it.
    """
    return "\n".join(_lines(report, pictures, command)) + "\n"


def _lines(report: Plain, pictures: Mapping[str, str], command: str) -> Iterator[str]:
    machine, data = report["machine"], report["data"]
    rows = ", ".join(f"{count:,} {part}" for part, count in data["rows"].items())
    yield f"# Reproduction on {data['name']}"
    yield ""
    yield f"{rows} rows, {data['click_rate']:.2%} clicked. Seeds {', '.join(map(str, report['seeds']))}."
    yield f"Made by `{command}` on {machine['cores']} cores ({machine['processor']})."
    yield ""
    yield _HEAD
    if report["remark"]:
        yield from ("", report["remark"].strip())
    yield from _claims(report["claims"])
    for name, table in report["tables"].items():
        yield ""
        yield f"## {table['title']}"
        yield ""
        if name in pictures:
            yield f"![{table['title']}]({pictures[name]})"
            yield ""
        if table["note"]:
            yield from (table["note"].strip(), "")
        yield from _table(table["rows"])
        yield from _notes(table["rows"])
    if "figure3" in pictures:
        yield from ("", "## KD-DAGFM, Figure 3: distilling, epoch by epoch", "", f"![Figure 3]({pictures['figure3']})")


def _claims(claims: list[Plain]) -> Iterator[str]:
    if not claims:
        return
    yield from ("", "## What holds", "", "| claim | found | holds |", "|---|---|---|")
    for claim in claims:
        yield f"| {claim['claim']} | {claim['found']} | {claim['holds']} |"


def _table(rows: list[Plain]) -> Iterator[str]:
    """Columns that no row has anything for are left out."""
    columns: Mapping[str, Callable[[Plain], str]] = {
        "": lambda row: row["label"],
        "AUC": lambda row: _spread(row.get("auc")),
        "log loss": lambda row: _spread(row.get("log_loss")),
        "published": _published,
        "less": lambda row: row["against"]["label"] if row.get("against") else "",
        "Δ AUC": lambda row: _difference(row, "auc"),
        "Δ log loss": lambda row: _difference(row, "log_loss"),
        "theirs": _published_gap,
        "parameters": lambda row: _count(row["interaction_parameters"]),
        "FLOPs": lambda row: _count(row["flops"]),
        "µs, N = 200": lambda row: _latency(row, "200"),
        "epochs": lambda row: f"{row['epochs']['mean']:.1f}" if "epochs" in row else "",
        "seconds": lambda row: f"{row['seconds']['mean']:.0f}" if "seconds" in row else "",
        "seeds": lambda row: str(len(row["seeds"])),
    }
    cells = {head: [cell(row) for row in rows] for head, cell in columns.items()}
    shown = [head for head in columns if any(cells[head])]
    yield f"| {' | '.join(shown)} |"
    yield f"|{'|'.join('---' if head == '' else '--:' for head in shown)}|"
    for number in range(len(rows)):
        yield f"| {' | '.join(cells[head][number] for head in shown)} |"


def _notes(rows: list[Plain]) -> Iterator[str]:
    noted = [row for row in rows if row["note"]]
    if noted:
        yield ""
    for row in noted:
        yield f"- **{row['label']}**: {row['note']}"


def _spread(spread: Plain | None) -> str:
    if spread is None:
        return "not yet"
    if spread["deviation"] is None:
        return f"{spread['mean']:.4f}"
    return f"{spread['mean']:.4f} ± {spread['deviation']:.4f}"


def _published(row: Plain) -> str:
    scores = row["published"]
    return "" if scores is None else f"{scores['auc']:.4f} / {scores['log_loss']:.4f}"


def _published_gap(row: Plain) -> str:
    scores = row["published_gap"]
    return "" if scores is None else f"{scores['auc']:+.4f} / {scores['log_loss']:+.4f}"


def _difference(row: Plain, name: str) -> str:
    against = row.get("against")
    if against is None:
        return ""
    found = against[name]
    p = "" if found["p"] is None else f" (p = {found['p']:.2g})"
    return f"{found['difference']:+.4f}{p}"


def _latency(row: Plain, size: str) -> str:
    return "" if row["latency"] is None else f"{row['latency']['us'][size]:,.0f}"


def _count(number: float) -> str:
    """Three digits and a letter."""
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.2f}{letter}"
    return f"{number:.0f}"
