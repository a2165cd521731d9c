"""`python -m loadtest.ranking`: student against teacher under realistic load on this machine, in about four minutes.

One core has the service, the other the generator. It ends with a table, a picture and a page under build/loadtest.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from rich.progress import BarColumn, Progress, TextColumn

from loadtest.bench.wrk import LoadError
from loadtest.ranking.budget import Budget, Verdict, judged
from loadtest.ranking.compare import Bench, Found, Schedule, Tell, compare, doubts, ratios
from loadtest.ranking.plot import draw
from loadtest.ranking.prepared import Traffic
from loadtest.ranking.record import StageFigures
from loadtest.ranking.report import HEADINGS, LEGEND, cells, html_page, html_table
from service.bundle import BundleError, read_bundle, replace_file
from training.progress import console, results, results_table

CORES = 2
ERRORS = 0.001
COLUMNS = ("stage", "load", "req/s", "cand/s", "p50 ms", "p95 ms", "p99 ms", "CPU s/M", "cores", "gen.", "")


def main(  # noqa: PLR0917 - each is an option, given by its name
    student_bundle: Annotated[Path, typer.Option(help="Student's bundle.")] = Path("bundles/student"),
    teacher_bundle: Annotated[Path, typer.Option(help="Teacher's bundle.")] = Path("bundles/teacher"),
    seconds: Annotated[float, typer.Option(min=0.1, help="Of every measured stage.")] = Schedule.seconds,
    warm_up_s: Annotated[float, typer.Option(min=0.1, help="Before the first stage of each run.")] = Schedule.warm_up_s,
    shares: Annotated[str, typer.Option(help="Of the capacity, ascending.")] = "0.25,0.5,0.75,0.9",
    candidates: Annotated[float, typer.Option(min=1, help="Median of a request.")] = 100,
    feedback: Annotated[float, typer.Option(min=0, max=1, help="Share of requests with feedback.")] = 0.2,
    connections: Annotated[int, typer.Option(min=1, help="Of the open loop.")] = 64,
    prepared: Annotated[int, typer.Option(min=1, help="Requests made ahead.")] = Traffic.requests,
    seed: Annotated[int, typer.Option(help="The same seed gives the same requests.")] = 1,
    out: Annotated[Path, typer.Option(help="Where reports, figures and the picture go.")] = Path("build/loadtest"),
) -> None:
    """Measure both; exit with 1 if one could not be or answered wrongly, with 3 if the generator was the bottleneck."""
    load_average = os.getloadavg()[0]
    try:
        schedule = Schedule(seconds=seconds, shares=_shares(shares), warm_up_s=warm_up_s)
        service_core, generator_core = _cores()
        for bundle in (student_bundle, teacher_bundle):
            read_bundle(bundle)
        options = ["--candidates", f"{candidates:g}", "--feedback", f"{feedback:g}", "--seed", str(seed)]
        options += ["--connections", str(connections), "--error-ratio", str(ERRORS), "--prepared", str(prepared)]
        with _progress(schedule.planned_s) as tell:
            bench = Bench(
                schedule=schedule,
                options=options,
                service_core=service_core,
                generator_core=generator_core,
                folder=out,
            )
            found = compare(bench, student_bundle, teacher_bundle, tell)
    except (BundleError, LoadError, ValueError, OSError) as error:
        _stop(str(error))
    _report(found, f"{candidates:g} candidates (median), sessions, feedback of {feedback:.0%}", load_average, out)
    verdicts = {judged(stages, Budget(error_ratio=ERRORS))[0] for stages in found.values()}
    raise typer.Exit(Verdict.MISSED if Verdict.MISSED in verdicts else max(verdicts))


def _report(found: Found, traffic: str, load_average: float, out: Path) -> None:
    for side, stages in found.items():
        table = results_table(f"{side}: {traffic}", *COLUMNS)
        for stage in stages:
            table.add_row(*_row(stage))
        results.print(table)
    gains, notes = ratios(found), [*doubts(found), _machine(load_average)]
    for line in (*gains, *notes):
        results.print(line, highlight=False, markup=False)
    picture = draw(found, f"Latency against throughput: {traffic}", out / "latency.png")
    described = {"load_average_at_start": load_average, "cores": os.cpu_count(), "traffic": traffic}
    sides = {side: [asdict(stage) for stage in stages] for side, stages in found.items()}
    figures = orjson.dumps({"run": described, "ratios": gains, "notes": notes, **sides}, option=orjson.OPT_INDENT_2)
    replace_file(out / "figures.json", figures)
    replace_file(out / "report.html", _page(found, traffic, gains, notes, picture.name).encode())
    for path in (out / "figures.json", out / "report.html", picture):
        console.print(f"wrote {path}", highlight=False)


def _machine(load_average: float) -> str:
    return f"load average at the start {load_average:.1f}; expected under 0.2, or other processes are measured too"


def _page(found: Found, traffic: str, gains: Sequence[str], notes: Sequence[str], picture: str) -> str:
    rows = [[f"{side}: {name}", *rest] for side, stages in found.items() for name, *rest in map(cells, stages)]
    first, last = ("".join(f"<li>{escape(line)}</li>" for line in lines) for lines in (gains, notes))
    parts = (
        f"<h1>Student against teacher</h1><p>{escape(traffic)}</p><ul>{first}</ul>",
        f'<p><img src="{picture}" alt="Latency against throughput" width="900"></p>',
        html_table(HEADINGS, rows),
        f"<p>{escape(LEGEND)}</p><ul>{last}</ul>",
    )
    return html_page("Student against teacher", parts)


def _row(stage: StageFigures) -> list[str]:
    return [
        stage.name,
        f"{stage.load:,.6g}",
        f"{stage.requests_per_s:,.0f}",
        f"{stage.candidates_per_s:,.0f}",
        *(f"{value:.2f}" for value in (stage.p50_ms, stage.p95_ms, stage.p99_ms, stage.cpu_s_per_million)),
        f"{stage.server_cores:.2f}",
        f"{stage.own_cores:.2f}",
        "not valid" if stage.bottleneck else "",
    ]


def _shares(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or list(found) != sorted(found) or found[0] <= 0:
        raise ValueError(f"--shares: got {text!r}, expected numbers above 0, ascending: 0.25,0.5,0.75")
    return found


def _cores() -> tuple[int, int]:
    """The service's and the generator's; raises ValueError where there are not two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < CORES:
        raise ValueError(f"this process may use {len(cores)} core, expected {CORES}: one serves, the other asks")
    return cores[0], cores[1]


@contextmanager
def _progress(planned_s: float) -> Iterator[Tell]:
    """What is being done and about how long it will go on: a bar on a terminal, lines elsewhere."""
    began_s = time.monotonic()
    shown = sys.stderr.isatty()
    columns = (TextColumn("{task.description:>44}"), BarColumn(), TextColumn("about {task.fields[left]} s left"))
    with Progress(*columns, console=console, transient=True, disable=not shown) as bars:
        task = bars.add_task("", total=planned_s, left=f"{planned_s:.0f}")

        def tick() -> None:
            past_s = time.monotonic() - began_s
            bars.update(task, completed=past_s, left=f"{max(1.0, planned_s - past_s):.0f}")

        def tell(what: str) -> Callable[[], None]:
            bars.update(task, description=what)
            tick()
            if not shown:
                left_s = max(1.0, planned_s - time.monotonic() + began_s)
                console.print(f"{what}; about {left_s:.0f} s left", highlight=False)
            return tick

        yield tell
    console.print(f"load test: {time.monotonic() - began_s:.0f} s", highlight=False)


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
