"""Tables and JSON of what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from loadtest.bench.inprocess import NATIVE, ROWS_GRAPH
from loadtest.bench.points import CANDIDATES, CENTRE, CONNECTIONS
from loadtest.bench.summary import Figure, ShapeResult, Target
from service.metrics import STAGES
from training.progress import results_table

HTTP = "HTTP and the rest"
QUEUE = "queue"
"""The one stage that is no work: a batch waits for a thread while the server works on others."""
WORK = tuple(stage for stage in STAGES if stage != QUEUE)
_MARKS = {"met": "[green]met[/]", "missed": "[bold red]missed[/]", "not measured": "[yellow]not measured[/]"}


def tables(result: ShapeResult) -> Iterator[Table]:
    """Every table of one shape."""
    yield centre_table(result)
    if {point.candidates for point in result.figures} >= set(CANDIDATES):
        yield from (grid_table(result, candidates) for candidates in CANDIDATES)
    yield stage_table(result)
    if result.steady:
        yield steady_table(result)
    yield in_process_table(result)


def centre_table(result: ShapeResult) -> Table:
    """All servers and forms at the centre."""
    title = f"{result.title}: N = {CENTRE[0]}, {CENTRE[1]} connections, one core"
    columns = ("form", "kB", "requests/s", "p50 ms", "p99 ms", "ratio", "low-high", "CPU µs", "by CPU")
    table = results_table(title, "server", *columns, left=2)
    failures = result.failures
    measured = result.figures
    for point in dict.fromkeys(outcome.point for outcome in result.outcomes):
        if (point.candidates, point.connections) != CENTRE:
            continue
        if point in measured:
            table.add_row(point.server, point.form, *_cells(measured[point]))
        else:
            table.add_row(point.server, point.form, f"[yellow]{failures[point][:60]}[/]")
    return table


def _cells(figure: Figure) -> list[str]:
    ratio = figure.ratio
    return [
        f"{figure.request_bytes / 1e3:.1f}",
        f"{figure.requests_per_s:,.0f}",
        f"{figure.p50_ms:.2f}",
        f"{figure.p99_ms:.2f}",
        "" if ratio is None else f"{ratio.median:.2f}",
        "" if ratio is None else f"{ratio.low:.1f}-{ratio.high:.1f}",
        f"{figure.cpu_us:.0f}",
        "" if figure.cpu_ratio is None else f"{figure.cpu_ratio:.2f}",
    ]


def grid_table(result: ShapeResult, candidates: int) -> Table:
    """Requests per second, in brackets the ratio, and latencies of N candidates by connections."""
    title = f"{result.title}: N = {candidates}; requests/s, ratio, p50/p99 in ms by connections"
    headings = [heading for count in CONNECTIONS for heading in (f"{count}: req/s", "p50/p99")]
    table = results_table(title, "server", "form", *headings, left=2)
    rows: dict[tuple[str, str], dict[int, Figure]] = {}
    for point, figure in result.figures.items():
        if point.candidates == candidates:
            rows.setdefault((point.server, point.form), {})[point.connections] = figure
    for (server, form), found in rows.items():
        if len(found) > 1:
            table.add_row(server, form, *(cell for count in CONNECTIONS for cell in _short(found.get(count))))
    return table


def _short(figure: Figure | None) -> tuple[str, str]:
    if figure is None:
        return "", ""
    ratio = "" if figure.ratio is None else f" ({_two_digits(figure.ratio.median, '.1f')})"
    return f"{figure.requests_per_s:,.0f}{ratio}", f"{_two_digits(figure.p50_ms)}/{_two_digits(figure.p99_ms)}"


def _two_digits(value: float, small: str = ".2g") -> str:
    """At least two, for a table that has room for no more."""
    return f"{value:.0f}" if value >= 10 else f"{value:{small}}"  # noqa: PLR2004 - the first with two before the point


def breakdown_us(figure: Figure) -> dict[str, float]:
    """Where the microseconds between two answers of a busy server go: its stages, and what is left."""
    known = {stage: figure.stages_us[stage] for stage in WORK if stage in figure.stages_us}
    return {**known, HTTP: max(0.0, 1e6 / figure.requests_per_s - sum(known.values()))}


def stage_table(result: ShapeResult) -> Table:
    """Our stages at the centre, microseconds per request; queue stands outside the total, the time between answers."""
    title = f"{result.title}: where a request's microseconds go, N = {CENTRE[0]}, {CENTRE[1]} connections"
    table = results_table(title, "server", "form", *WORK, HTTP, "total", QUEUE, left=2)
    for point, figure in result.figures.items():
        if (point.candidates, point.connections) == CENTRE:
            parts = breakdown_us(figure)
            shown = [f"{parts[part]:.0f}" if part in parts else "" for part in (*WORK, HTTP)]
            waited = f"{figure.stages_us[QUEUE]:.0f}" if QUEUE in figure.stages_us else ""
            table.add_row(point.server, point.form, *shown, f"{1e6 / figure.requests_per_s:.0f}", waited)
    return table


def steady_table(result: ShapeResult) -> Table:
    """One connection at half the rate it can take, one row per repetition."""
    title = f"{result.title}: one connection at half its rate, latency from the moment a request is due"
    table = results_table(title, "server", "form", "requests/s", "p50 ms", "p99 ms", "p99 / p50", left=2)
    for run in result.steady:
        cells = (f"{run.rate:,.0f}", f"{run.p50_ms:.2f}", f"{run.p99_ms:.2f}", f"{run.p99_ms / run.p50_ms:.2f}")
        table.add_row(run.server, run.form, *cells)
    return table


def in_process_table(result: ShapeResult) -> Table:
    """The scorers without HTTP."""
    title = f"{result.title}: scorers without HTTP, µs per request; native is {result.level or 'not built'}"
    contenders = list(next(iter(result.in_process_us.values())))
    table = results_table(title, "N", *contenders, f"{ROWS_GRAPH} / {NATIVE}")
    for candidates, took in result.in_process_us.items():
        ratio = f"{took[ROWS_GRAPH] / took[NATIVE]:.1f}" if NATIVE in took else ""
        table.add_row(str(candidates), *(f"{took[name]:.1f}" for name in contenders), ratio)
    return table


def target_table(found: Sequence[Target]) -> Table:
    """Targets, met or missed."""
    table = results_table(
        f"Targets: reference shape, N = {CENTRE[0]}, {CENTRE[1]} connections unless said",
        "target",
        "wanted",
        "found",
        "by CPU",
        "",
    )
    for target in found:
        sign = "≥" if target.at_least else "≤"
        shown = "" if target.found is None else f"{target.found:.2f}"
        by_cpu = "" if target.by_cpu is None else f"{target.by_cpu:.2f}"
        table.add_row(target.what, f"{sign} {target.wanted:g}", shown, by_cpu, _MARKS[target.verdict])
    table.columns[0].no_wrap = False
    return table


def as_json(results: Sequence[ShapeResult], found: Sequence[Target], run: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure, every outcome and the machine they come from."""
    return {
        "run": dict(run),
        "targets": [{**dataclasses.asdict(target), "verdict": target.verdict} for target in found],
        "shapes": {
            result.shape.label: {
                "shape": dataclasses.asdict(result.shape),
                "native_level": result.level,
                "figures": [_figure_json(figure) for figure in result.figures.values()],
                "failures": [{**dataclasses.asdict(point), "why": why} for point, why in result.failures.items()],
                "steady": [dataclasses.asdict(steady) for steady in result.steady],
                "in_process_us": {str(size): dict(took) for size, took in result.in_process_us.items()},
                "repetitions": [dataclasses.asdict(outcome) for outcome in result.outcomes],
            }
            for result in results
        },
    }


def _figure_json(figure: Figure) -> dict[str, Any]:
    described = dataclasses.asdict(figure)
    return {**described, "breakdown_us": breakdown_us(figure)}
