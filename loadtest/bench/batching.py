"""`python -m loadtest.bench.batching`: are small requests at the same time better scored together?

For either scorer, in one run: the service as it is, and one small app that scores each request at once, or collects
them for a window and scores them in one run of full rows. Ratios are to the app that scores each.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.table import Table

from export.bench_shapes import SHAPES
from loadtest.bench import wire
from loadtest.bench.__main__ import TARGET_SHAPE, machine, prepare_machine
from loadtest.bench.bundles import Subject, make_subject
from loadtest.bench.measure import Bench, Outcome
from loadtest.bench.points import Point
from loadtest.bench.servers import OURS, Server, ours, running
from loadtest.bench.summary import Figure, figures
from service.bundle import replace_file
from training.progress import console, results, results_table, steps

CANDIDATES = (1, 8, 32)
CONNECTIONS = (1, 8, 32)
WINDOWS_US = (0, 100, 500)
"""Microseconds to collect requests; 0: those that are there already."""
EACH = "each"


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Of every point; wrk takes whole seconds.")] = 1,
    repetitions: Annotated[int, typer.Option(min=1, help="The median of these counts.")] = 3,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="One repetition of one candidate and eight.")] = False,
    out: Annotated[Path, typer.Option(help="Where batching.json goes.")] = Path("build/bench"),
) -> None:
    """Print requests per second and latencies of every variant, and ratios to scoring each request."""
    candidates, repetitions = ((1, 8), 1) if quick else (CANDIDATES, repetitions)
    core = prepare_machine()
    run = {"seconds": seconds, "repetitions": repetitions, **machine()}
    found = figures(_outcomes(core, seconds, repetitions, candidates), compared_with=scoring_each)
    for size in candidates:
        results.print(_table(found, size))
    out.mkdir(parents=True, exist_ok=True)
    content = {"run": run, "figures": [dataclasses.asdict(figure) for figure in found.values()]}
    replace_file(out / "batching.json", orjson.dumps(content, option=orjson.OPT_INDENT_2))
    console.print(f"wrote {out / 'batching.json'}", highlight=False)


def variants(subject: Subject) -> tuple[Server, ...]:
    """Per scorer the service, the app that scores each request, and one per window."""
    return tuple(server for scorer in OURS for server in _variants_of(subject, scorer))


def _variants_of(subject: Subject, scorer: str) -> Iterator[Server]:
    service = ours(subject, scorer)
    yield dataclasses.replace(service, name=f"{scorer}: the service", forms=(wire.ITEM_IDS,))
    common = ("--bundle", str(subject.root), "--graph", str(subject.rows_graph), "--scorer", scorer)
    command = ("-m", "loadtest.bench.batching_app", *common)
    yield Server(name=f"{scorer}: {EACH}", command=command, forms=(wire.ITEM_IDS,))
    for window in WINDOWS_US:
        options = ("--window-us", str(window))
        yield Server(name=f"{scorer}: {window} µs", command=(*command, *options), forms=(wire.ITEM_IDS,))


def scoring_each(point: Point) -> Point:
    """The same point of the app that scores each request with the same scorer."""
    return dataclasses.replace(point, server=f"{point.server.partition(':')[0]}: {EACH}")


def _outcomes(core: int, seconds: int, repetitions: int, candidates: Sequence[int]) -> list[Outcome]:
    shape = next(shape for shape in SHAPES if shape.label == TARGET_SHAPE)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        subject = make_subject(shape, folder)
        started = variants(subject)
        bench = Bench(subject, started, folder, seconds)
        plan = [
            Point(candidates=size, connections=connections, server=server.name, form=wire.ITEM_IDS.name)
            for size in candidates
            for connections in CONNECTIONS
            for server in started
        ]
        with steps("bench batching", repetitions * len(plan)) as report:
            for repetition in range(repetitions):
                with running(started, core, folder) as endpoints:
                    for point in plan:
                        report(point.server)
                        outcomes.append(bench.measure(point, endpoints[point.server], repetition))
    for outcome in outcomes:
        if outcome.failure is not None:
            console.print(f"[red]{outcome.point.server}: {outcome.failure}[/]")
    return outcomes


def _table(found: dict[Point, Figure], candidates: int) -> Table:
    """All variants at N candidates."""
    title = f"{TARGET_SHAPE} shape, item ids, N = {candidates}; ratios to scoring each request"
    table = results_table(title, "connections", "server", "requests/s", "p50 ms", "p99 ms", "ratio", "by CPU", left=2)
    for point, figure in found.items():
        if point.candidates == candidates:
            ratio = "" if figure.ratio is None else f"{figure.ratio.median:.2f}"
            by_cpu = "" if figure.cpu_ratio is None else f"{figure.cpu_ratio:.2f}"
            cells = (f"{figure.requests_per_s:,.0f}", f"{figure.p50_ms:.2f}", f"{figure.p99_ms:.2f}", ratio, by_cpu)
            table.add_row(str(point.connections), point.server, *cells)
    return table


if __name__ == "__main__":
    typer.run(main)
