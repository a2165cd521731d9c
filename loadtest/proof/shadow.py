"""Proof that a shadow costs its service nothing (T7): off, at 100 %, hung and dead, in turns within one run.

    python -m loadtest.proof.shadow --student-bundle bundles/student --teacher-bundle bundles/teacher

The service stands on one core. The other one has wrk and the shadow's child, which gives way to wrk at once; what wrk
takes there, some tenth of the core, the shadow lacks. The shadow is hung by SIGSTOP with its queue full, and dead by
SIGKILL, as is every child that takes its place. Each state is measured beside the shadow being off, now before and now
after it, so that a ratio or a difference is one of neighbours; their medians count. So is, without any shadow, a
process that does the shadow's work on its core and knows nothing of the service (`loadtest.proof.neighbour`): where two
cores are threads of one, or share its power and caches, that alone slows the service. Processor time of the service per
request is read from /proc: unlike requests per second, it is not stretched by what else runs on the machine.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import orjson
import typer

from loadtest.bench.wrk import LoadError, run_wrk, write_requests
from loadtest.proof.checks import Check, show
from loadtest.proof.shadowed import DEAD, HUNG, NEIGHBOUR, OFF, ON, ShadowControl, cpu_ns, shadowed_service
from service.bundle import read_bundle

SERVICE_CORE, OTHER_CORE = 0, 1
BUSY, ALONE = 8, 1
"""Connections when throughput and when latency is looked at."""
REQUESTS = 32
LEAST_THROUGHPUT = 0.90
MOST_LOAD = 0.5
"""Of the machine at the start; above it no core is free."""
MEASURED = (ON, NEIGHBOUR, HUNG, DEAD)
COMPARISON = "(for comparison)"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One state once."""

    requests_per_s: float
    cpu_us: float
    """Processor time of the service per request."""
    p50_ms: float
    """On one connection."""
    p99_ms: float


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A state beside the shadow being off."""

    state: str
    off: Measured
    on: Measured
    answered: int
    """Requests to /predict while the shadow was in its state."""
    ok: int
    error: int
    dropped: int


def requests_of(bundle: Path, candidates: int) -> list[bytes]:
    """Whole requests of random items of the bundle's catalogue, in its example's context."""
    known = read_bundle(bundle)
    if known.catalogue is None:
        raise typer.BadParameter(f"{bundle} has no catalogue, expected one to draw items from; export it with one")
    random, items = np.random.default_rng(0), list(known.catalogue.items)
    made = []
    for _ in range(REQUESTS):
        drawn = [items[i] for i in random.integers(0, len(items), candidates)]
        body = orjson.dumps({"context": known.example["context"], "items": drawn})
        head = f"POST /predict HTTP/1.1\r\nHost: proof\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        made.append(f"{head}\r\n\r\n".encode() + body)
    return made


def measurer(port: int, pid: int, folder: Path, seconds: int) -> Callable[[], Measured]:
    """What measures the service as it is; raises LoadError at any answer that is no success."""

    def measure() -> Measured:
        before = cpu_ns(pid)
        busy = run_wrk(port, folder, REQUESTS, connections=BUSY, seconds=seconds)
        cpu_us = (cpu_ns(pid) - before) / busy.requests / 1e3
        alone = run_wrk(port, folder, REQUESTS, connections=ALONE, seconds=seconds)
        return Measured(requests_per_s=busy.requests_per_s, cpu_us=cpu_us, p50_ms=alone.p50_ms, p99_ms=alone.p99_ms)

    return measure


def pairs(control: ShadowControl, measure: Callable[[], Measured], rounds: int) -> Iterator[Pair]:
    """Every state beside off, in every round."""
    for number in range(rounds):
        for state in MEASURED:
            found: dict[str, Measured] = {}
            before = after = control.counts()
            for turn in (OFF, state) if number % 2 else (state, OFF):
                if turn == OFF:
                    found[OFF] = measure()
                    continue
                before = control.counts()
                with control.being(state):
                    found[state] = measure()
                after = control.counts()
            yield Pair(
                state=state,
                off=found[OFF],
                on=found[state],
                answered=after.answered - before.answered,
                ok=after.ok - before.ok,
                error=after.error - before.error,
                dropped=after.dropped - before.dropped,
            )


def checks(found: Sequence[Pair]) -> list[Check]:
    """What T7 and the issue ask of a shadow, from all pairs."""
    return [check for state in MEASURED for check in _checks(state, [p for p in found if p.state == state])]


def _checks(state: str, found: Sequence[Pair]) -> list[Check]:
    throughput = median(pair.on.requests_per_s / pair.off.requests_per_s for pair in found)
    cpu = median(pair.on.cpu_us - pair.off.cpu_us for pair in found)
    cpu_off = median(pair.off.cpu_us for pair in found)
    p50 = median(pair.on.p50_ms - pair.off.p50_ms for pair in found)
    p99 = median(pair.on.p99_ms - pair.off.p99_ms for pair in found)
    p99_off = median(pair.off.p99_ms for pair in found)
    shadowed = state != NEIGHBOUR
    what = f"shadow {state}" if shadowed else state
    made = [
        Check(
            what=f"{what}: requests/s over off",
            target=f">= {LEAST_THROUGHPUT:.2f}" if shadowed else COMPARISON,
            found=f"{throughput:.3f}",
            met=not shadowed or throughput >= LEAST_THROUGHPUT,
        ),
        Check(
            what=f"{what}: service's CPU per request",
            target=f"<= {1 / LEAST_THROUGHPUT - 1:+.0%}" if shadowed else COMPARISON,
            found=f"{cpu:+.1f} us to {cpu_off:.1f} ({cpu / cpu_off:+.1%})",
            met=not shadowed or cpu / cpu_off <= 1 / LEAST_THROUGHPUT - 1,
        ),
        Check(
            what=f"{what}: p99 on one connection",
            target="+2 % or +0.2 ms" if shadowed else COMPARISON,
            found=f"{p99:+.3f} ms to {p99_off:.3f} (p50 {p50:+.3f})",
            met=not shadowed or p99 <= max(0.2, 0.02 * p99_off),
        ),
    ]
    return [*made, _accounts(what, found)] if shadowed else made


def _accounts(what: str, found: Sequence[Pair]) -> Check:
    """Whether every request is either compared or counted as dropped; one that failed has ended the run."""
    answered, error = sum(pair.answered for pair in found), sum(pair.error for pair in found)
    ok, dropped = sum(pair.ok for pair in found), sum(pair.dropped for pair in found)
    return Check(
        what=f"{what}: what became of each request",
        target="0 failed, all accounted for",
        found=f"{answered} answered = {ok} ok + {error} error + {dropped} dropped",
        met=all(pair.answered == pair.ok + pair.error + pair.dropped for pair in found) and error == 0,
    )


def _warn() -> None:
    load = os.getloadavg()[0]
    if load > MOST_LOAD:
        typer.echo(f"load average {load:.1f}: others run here, latencies and requests/s will be theirs too", err=True)


def main(
    *,
    student_bundle: Annotated[Path, typer.Option(help="Student's bundle.")] = Path("bundles/student"),
    teacher_bundle: Annotated[Path, typer.Option(help="Teacher's bundle.")] = Path("bundles/teacher"),
    candidates: Annotated[int, typer.Option(help="Candidates of a request.")] = 200,
    seconds: Annotated[int, typer.Option(help="Of every measurement.")] = 2,
    rounds: Annotated[int, typer.Option(help="Every state is measured so often.")] = 5,
    out: Annotated[Path, typer.Option(help="Where the figures are written as JSON.")] = Path("build/proof/shadow.json"),
) -> None:
    """Measure, print target, found, met."""
    _warn()
    os.sched_setaffinity(0, {OTHER_CORE})
    requests = requests_of(student_bundle, candidates)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_requests(folder / "requests", requests)
        with shadowed_service(student_bundle, teacher_bundle, folder, SERVICE_CORE) as endpoint:
            control = ShadowControl(endpoint, OTHER_CORE, teacher_bundle, requests)
            measure = measurer(endpoint.port, endpoint.pid, folder / "requests", seconds)
            measure()  # warms up
            try:
                for pair in pairs(control, measure, rounds):
                    found.append(pair)
                    typer.echo(f"{pair.state:5} {pair.on}\n  off {pair.off}", err=True)
            except LoadError as error:
                typer.echo(f"a request failed: {error}", err=True)
                raise typer.Exit(1) from None
    raise typer.Exit(show("A shadow that is on, hangs or is dead", checks(found), out))


if __name__ == "__main__":
    typer.run(main)
