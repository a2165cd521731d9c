"""How much feedback one worker stores durably, and how long a client waits for the acknowledgement.

    python -m loadtest.proof.feedback

Three loads on a real service with one worker, in turns: whole batches as fast as they are acknowledged, single
events as fast as they are acknowledged, and both at the same time at a fixed rate, where the time to an acknowledgement
counts from when its post was due, so that a slow answer cannot hide those behind it. The client shares the machine
with the service. In the end the store must have as many events as were acknowledged. What a sync of the disk costs
stands beside it: a commit waits for at least one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.table import Table

from loadtest.proof.checks import Check, show
from loadtest.proof.serving import Poster, Service, body_of, free_port
from service.events import open_store

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

BATCH = 100
"""Events of a bulk post."""
BULK_CONNECTIONS = 4
SINGLE_CONNECTIONS = 32
SINGLE_SHARE = 1 / 6
"""Share of the events that come one at a time in the mixed load."""
TARGET_RATE, TARGET_P99_MS = 5_000, 20
DAY_MS = 86_400_000


@dataclass(kw_only=True, slots=True)
class Load:
    """What one load measured."""

    name: str
    events: int = 0
    seconds: float = 0.0
    waited_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Acknowledged events per second."""
        return self.events / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Of the time to the acknowledgement of a post."""
        return float(np.percentile(self.waited_ms, percent))


async def post(poster: Poster, events: int, load: Load, due_s: float | None = None) -> None:
    """Post so many new events and note what the acknowledgement took, from `due_s` on if it is given."""
    request_id = token_hex(16)
    body = body_of([{"request_id": request_id, "position": i, "type": "click"} for i in range(events)])
    began_s = time.perf_counter() if due_s is None else due_s
    status, answer = await poster.post(body)
    load.waited_ms.append((time.perf_counter() - began_s) * 1000)
    stored = orjson.loads(answer).get("unknown")
    if status != 200 or stored != events:  # noqa: PLR2004 - all of them are new and without an exposure
        raise RuntimeError(f"posted {events} events, got {status} {answer[:200]!r}")
    load.events += events


async def busy(name: str, port: int, *, connections: int, events: int, seconds: float) -> Load:
    """Every connection posts as fast as it is answered."""
    load = Load(name=name)
    end = time.perf_counter() + seconds

    async def work(poster: Poster) -> None:
        while time.perf_counter() < end:
            await post(poster, events, load)

    await _with_posters(port, connections, work, load)
    return load


async def steady(name: str, port: int, *, rate: float, seconds: float) -> Load:
    """Batches and single events at `rate` events per second, whether or not the last were answered."""
    load = Load(name=name)
    loads = (
        (BULK_CONNECTIONS, BATCH, rate * (1 - SINGLE_SHARE) / BATCH),
        (SINGLE_CONNECTIONS, 1, rate * SINGLE_SHARE),
    )
    begin = time.perf_counter() + 0.05
    schedules = [_due(begin, posts_per_s, seconds) for _, _, posts_per_s in loads]

    def worker(events: int, due: Iterator[float]) -> Callable[[Poster], Awaitable[None]]:
        async def work(poster: Poster) -> None:
            for due_s in due:  # whichever connection is free takes the next
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                await post(poster, events, load, due_s)

        return work

    await asyncio.gather(
        *(
            _with_posters(port, connections, worker(events, due), load)
            for (connections, events, _), due in zip(loads, schedules, strict=True)
        )
    )
    return load


def _due(begin: float, posts_per_s: float, seconds: float) -> Iterator[float]:
    return (begin + i / posts_per_s for i in range(int(posts_per_s * seconds)))


async def _with_posters(port: int, connections: int, work: Callable[[Poster], Awaitable[None]], load: Load) -> None:
    posters = [Poster(port) for _ in range(connections)]
    began = time.perf_counter()
    try:
        await asyncio.gather(*map(work, posters))
    finally:
        load.seconds = time.perf_counter() - began
        for poster in posters:
            poster.close()


def sync_ms(directory: Path) -> float:
    """Median of what it takes to append 4 KiB to a file and sync it."""
    took = []
    with (directory / "sync").open("wb", buffering=0) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return float(np.median(took)) * 1000


async def measure(port: int, rate: float, seconds: float) -> list[Load]:
    """All loads, one after another; the first is short and nobody looks at it."""
    return [
        await busy("warm-up", port, connections=4, events=1, seconds=0.5),
        await busy(f"{BATCH} a post", port, connections=BULK_CONNECTIONS, events=BATCH, seconds=seconds),
        await busy("one a post", port, connections=SINGLE_CONNECTIONS, events=1, seconds=seconds),
        await steady(f"both, {rate:g}/s", port, rate=rate, seconds=seconds),
    ]


def print_loads(loads: list[Load]) -> None:
    """A table of the loads."""
    table = Table("load", "events/s", "ack p50 ms", "ack p99 ms", "ack max ms")
    for load in loads:
        times = [f"{load.percentile_ms(percent):.1f}" for percent in (50, 99, 100)]
        table.add_row(load.name, f"{load.rate:,.0f}", *times)
    Console().print(table)


@cli.command()
def main(
    *,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each load.")] = 10.0,
    rate: Annotated[float, typer.Option(min=200, help="Events per second of the mixed load.")] = 6_000.0,
    events: Annotated[str, typer.Option(help="URL of an empty event store; a SQLite file of its own if empty.")] = "",
    directory: Annotated[Path | None, typer.Option(help="Where the file goes; the system's temporary one.")] = None,
    out: Annotated[Path, typer.Option(help="Where the findings go, JSON.")] = Path("build/proof/feedback.json"),
) -> None:
    """Measure, print, and exit 1 if a target is missed."""
    home = Path(tempfile.mkdtemp(prefix="feedback-", dir=directory))
    url = events or f"sqlite:{home}/events.sqlite3"
    service = Service(home, url, free_port())
    try:
        service.wait()
        loads = asyncio.run(measure(service.port, rate, seconds))
    finally:
        service.stop()
    store = open_store(url, DAY_MS)
    with store.reading() as session:
        [(stored, keys)] = session.rows("SELECT COUNT(*), COUNT(DISTINCT request_id) FROM feedback")
    store.close()
    print_loads(loads[1:])
    typer.echo(f"one sync of the disk: {sync_ms(home):.2f} ms; stored {stored} events")
    shutil.rmtree(home)
    mixed = loads[-1]
    posts, p99_ms = sum(len(load.waited_ms) for load in loads), mixed.percentile_ms(99)
    checks = [
        Check(what="events/s", target=f">= {TARGET_RATE}", found=f"{mixed.rate:.0f}", met=mixed.rate >= TARGET_RATE),
        Check(what="ack p99", target=f"<= {TARGET_P99_MS} ms", found=f"{p99_ms:.1f} ms", met=p99_ms <= TARGET_P99_MS),
        Check(what="posts acknowledged and stored", target=str(posts), found=str(keys), met=keys == posts),
    ]
    raise typer.Exit(show(f"both loads at {rate:g} events/s", checks, out))


if __name__ == "__main__":
    cli()
