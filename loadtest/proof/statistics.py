"""`python -m loadtest.proof.statistics`: the statistics against worlds of known truth, and against other libraries.

Targets T3 (false positives), T4 (power, CUPED) and T5 (oracles). A missed target ends with exit code 1, but under
--quick, where chance alone misses some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from loadtest.proof.checks import show
from loadtest.proof.finding import Finding
from loadtest.proof.oracles import agreement
from loadtest.proof.simulations import fair_split, no_effect, planned_effect, same_latency, same_units_before
from training.progress import console


def main(
    simulations: Annotated[int, typer.Option(min=100, help="A/A experiments; the others follow from it.")] = 2000,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of it: does it run?")] = False,
    out: Annotated[Path, typer.Option(help="JSON file of the figures.")] = Path("build/proof/statistics.json"),
) -> None:
    """Print target, found, met."""
    simulations = max(100, simulations // 10) if quick else simulations
    started = perf_counter()
    checks = [finding.as_check() for finding in prove(simulations)]
    status = show(f"{simulations:,} simulations, {perf_counter() - started:.0f} s", checks, out)
    raise typer.Exit(0 if quick else status)


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


if __name__ == "__main__":
    typer.run(main)
