"""`python -m loadtest.proof.statistics`: the statistics against worlds of known truth, and against other libraries.

Targets T3 (false positives), T4 (power, CUPED) and T5 (oracles). A missed target ends with exit code 1, but under
--quick, where chance alone misses some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Annotated

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from loadtest.proof.finding import Finding
from loadtest.proof.oracles import agreement
from loadtest.proof.simulations import fair_split, no_effect, planned_effect, same_latency, same_units_before
from training.progress import console, results, results_table

SHOWN = {None: "", True: "yes", False: "NO"}


def main(
    simulations: Annotated[int, typer.Option(min=100, help="A/A experiments; the others follow from it.")] = 2000,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of it: does it run?")] = False,
    json: Annotated[Path | None, typer.Option(help="Where to write the findings.")] = None,
) -> None:
    """Print a table of what was found and what was wanted."""
    simulations = max(100, simulations // 10) if quick else simulations
    started = perf_counter()
    findings = prove(simulations)
    seconds = perf_counter() - started
    table = results_table(f"{simulations:,} simulations, {seconds:.0f} s", "", "what", "found", "wanted", "met", left=2)
    for finding in findings:
        found, met = finding.shown(finding.found), SHOWN[finding.met]
        table.add_row("" if finding.contrast else finding.target, finding.what, found, finding.wanted, met)
    results.print(table)
    if json is not None:
        json.write_bytes(_as_json(findings, simulations, seconds))
    if not quick and any(finding.met is False for finding in findings):
        raise typer.Exit(code=1)


def prove(simulations: int) -> list[Finding]:
    """Every finding, with a bar for each kind."""
    work: Sequence[tuple[str, Callable[..., list[Finding]], int]] = (
        ("A/A", no_effect, simulations),
        ("fair split", fair_split, 20 * simulations),
        ("planned effect", planned_effect, 4 * simulations),
        ("CUPED", same_units_before, 8 * simulations),
        ("p99", same_latency, simulations // 2),
        ("oracles", agreement, simulations // 20),
    )
    columns = TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    findings: list[Finding] = []
    with Progress(*columns, console=console) as bars:
        for name, simulate, count in work:
            findings += simulate(count, _counted(bars, name))
    return findings


def _counted(bars: Progress, name: str) -> Callable[[int], Iterator[int]]:
    return lambda count: iter(bars.track(range(count), description=name))


def _as_json(findings: Sequence[Finding], simulations: int, seconds: float) -> bytes:
    rows = [{**asdict(finding), "met": finding.met} for finding in findings]
    document = {"simulations": simulations, "seconds": seconds, "findings": rows}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


if __name__ == "__main__":
    typer.run(main)
