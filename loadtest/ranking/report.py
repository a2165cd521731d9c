"""What a run says in the end: a table for people, a page to keep, CSV and JSON for machines."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtest.ranking.budget import Verdict
from loadtest.ranking.options import OPEN, Plan
from loadtest.ranking.record import StageFigures
from service.bundle import replace_file

SAID = {
    Verdict.MET: "budget met",
    Verdict.MISSED: "budget missed",
    Verdict.NOT_VALID: "result not valid: the generator was the bottleneck",
}
HEADINGS = (
    "stage",
    "load",
    "requests/s",
    "candidates/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "failed",
    "late",
    "late, own",
    "own cores",
    "lag p99 ms",
    "service cores",
    "CPU s/M",
    "valid",
)
LEGEND = (
    "late: sent over 1 ms after due, since every connection waited for an answer; late, own: since the generator was "
    "slow; own cores: the generator's; CPU s/M: CPU seconds of the service per million candidates"
)
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3rem .7rem;border-bottom:1px solid #ddd;text-align:right}"
    "td{white-space:nowrap}td:first-child,th:first-child{text-align:left}.bad{color:#a33}.wide{overflow-x:auto}"
)


def cells(stage: StageFigures) -> list[str]:
    """One row under HEADINGS."""
    return [
        stage.name,
        f"{stage.load:,.10g}",
        f"{stage.requests_per_s:,.1f}",
        f"{stage.candidates_per_s:,.0f}",
        *(_shown(value) for value in (stage.p50_ms, stage.p95_ms, stage.p99_ms)),
        f"{stage.errors} of {stage.asked}",
        str(stage.late_waiting),
        str(stage.late_generator),
        _shown(stage.own_cores),
        _shown(stage.lag_p99_ms),
        _shown(stage.server_cores),
        _shown(stage.cpu_s_per_million),
        "no" if stage.bottleneck else "yes",
    ]


def _shown(value: float) -> str:
    return "" if value != value else f"{value:,.2f}"  # noqa: PLR0124 - only nan differs from itself


def described(plan: Plan) -> str:
    """The loop in words."""
    if plan.loop == OPEN:
        return (
            f"open loop, {plan.arrivals} arrivals over {plan.connections} connections; latency counts from the moment "
            "a request was due"
        )
    return f"closed loop, {plan.think_s:g} s think time; latency counts from the moment a request was sent"


def table(plan: Plan, figures: Sequence[StageFigures], verdict: Verdict, reasons: Sequence[str]) -> None:
    """Print the measured stages and the verdict."""
    console = Console(width=160)
    shown = Table(title=described(plan), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for position, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="right" if position else "left")
    for stage in figures:
        shown.add_row(*cells(stage))
    console.print(shown)
    console.print(LEGEND, highlight=False, markup=False)
    for line in (SAID[verdict], *reasons):
        console.print(line, highlight=False, markup=False)


def write_report(
    folder: Path, plan: Plan, figures: Sequence[StageFigures], verdict: Verdict, reasons: Sequence[str]
) -> list[Path]:
    """Write report.html, stages.csv and figures.json, each whole or not at all; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "report.html": page(plan, figures, verdict, reasons).encode(),
        "stages.csv": as_csv(figures).encode(),
        "figures.json": orjson.dumps(as_json(plan, figures, verdict, reasons), option=orjson.OPT_INDENT_2),
    }
    for name, content in contents.items():
        replace_file(folder / name, content)
    return [folder / name for name in contents]


def as_json(plan: Plan, figures: Sequence[StageFigures], verdict: Verdict, reasons: Sequence[str]) -> dict[str, Any]:
    """Everything; what is not known is nan, which orjson writes as null."""
    return {
        "verdict": verdict.name.lower(),
        "reasons": list(reasons),
        "plan": _finite(dataclasses.asdict(plan)),
        "stages": [dataclasses.asdict(stage) for stage in figures],
    }


def _finite(plan: dict[str, Any]) -> dict[str, Any]:
    return {**plan, "site": "{}:{}".format(*plan["site"])}


def as_csv(figures: Sequence[StageFigures]) -> str:
    """One line a stage; what was wrong and what became of feedback are in the JSON."""
    names = [field.name for field in dataclasses.fields(StageFigures) if field.name not in {"why", "feedback"}]
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(names)
    writer.writerows([getattr(stage, name) for name in names] for stage in figures)
    return written.getvalue()


def page(plan: Plan, figures: Sequence[StageFigures], verdict: Verdict, reasons: Sequence[str]) -> str:
    """The report as one HTML page."""
    notes = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    state = "" if verdict is Verdict.MET else ' class="bad"'
    parts = (
        f"<h1>Load on {escape('{}:{}'.format(*plan.site))}{escape(plan.path)}</h1>",
        f"<p>{escape(described(plan))}; {at}</p>",
        f"<p{state}><b>{escape(SAID[verdict])}</b></p><ul>{notes}</ul>",
        html_table(HEADINGS, [cells(stage) for stage in figures]),
        f"<p>{escape(LEGEND)}</p>",
    )
    return html_page("Load test", parts)


def html_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in HTML."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def html_page(title: str, parts: Sequence[str]) -> str:
    """A page that needs nothing else."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
