"""Feedback outlives kill -9: nothing that was acknowledged is lost, nothing is stored twice.

    python -m loadtest.proof.durability --cycles 200

Each cycle starts the service, has several clients post events, one at a time and many, some of them again and again,
and kills it with SIGKILL at a random moment: all its processes at once or, of several workers, now and then only one.
What a client got no answer for it sends again in the next cycle, as a real client does. In the end every event that was
ever acknowledged must be in the store exactly once.

A killed process shows that acknowledged events do not wait in its memory. It does not show what a power cut does:
that is the disk's sync at every commit (PRAGMA synchronous=FULL, PostgreSQL's synchronous_commit).
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import track

from loadtest.proof.checks import Check, show
from loadtest.proof.serving import Poster, Service, body_of, free_port
from service.events import open_store
from service.events.sql import SqlStore

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

CLIENTS = 8
SIZES = (1, 1, 1, 5, 20, 100)
"""Events of one request, drawn at random."""
REPEATED = 0.2
"""Share of requests that repeat acknowledged events."""
STORED = frozenset({"accepted", "duplicate", "unknown", "late"})
DAY_MS = 86_400_000

Key = tuple[str, str, str]


@dataclass(slots=True)
class Client:
    """One client: what it sent, what was acknowledged, what it must send again."""

    name: str
    random: random.Random
    acknowledged: set[Key] = field(default_factory=set)
    recent: deque[Key] = field(default_factory=lambda: deque(maxlen=200))
    """Of the acknowledged the last ones, to be repeated."""
    pending: list[dict[str, object]] | None = None
    made: int = 0
    repeated_as_new: int = 0
    """Acknowledged events whose repeat was not called a duplicate."""
    refused: Counter[int] = field(default_factory=Counter)
    """Status → answers other than 200."""

    async def run(self, port: int, stopped: asyncio.Event) -> None:
        """Post until told to stop, on a new connection after each that broke."""
        poster = Poster(port)
        while not stopped.is_set():
            try:
                await self._post(poster)
            except (OSError, asyncio.IncompleteReadError):
                poster.close()
                await asyncio.sleep(0.01)
        poster.close()

    async def _post(self, poster: Poster) -> None:
        self.pending = self.pending or self._next()
        status, answer = await poster.post(body_of(self.pending))
        if status == 200:  # noqa: PLR2004 - the one status that acknowledges
            self._note(self.pending, orjson.loads(answer)["results"])
            self.pending = None
        else:
            self.refused[status] += 1
            await asyncio.sleep(0.01)

    def _next(self) -> list[dict[str, object]]:
        """New events, or a few that are acknowledged already."""
        if self.recent and self.random.random() < REPEATED:
            return [_event(*key) for key in self.random.sample(self.recent, k=min(5, len(self.recent)))]
        return [self._make() for _ in range(self.random.choice(SIZES))]

    def _make(self) -> dict[str, object]:
        self.made += 1
        request, position = divmod(self.made, 10)
        return _event(f"{self.name}-{request}", f"#{position}", self.random.choice(("click", "impression")))

    def _note(self, events: list[dict[str, object]], results: list[str]) -> None:
        for event, result in zip(events, results, strict=True):
            key = _key(event)
            self.repeated_as_new += key in self.acknowledged and result != "duplicate"
            if result in STORED:
                self.acknowledged.add(key)
                self.recent.append(key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What the store has in the end."""

    rows: int
    acknowledged: int
    lost: int
    duplicates: int
    """Rows over one per key, and repeats that were not recognised."""


def compare(store: SqlStore, clients: list[Client]) -> Found:
    """The store beside what clients were told."""
    with store.reading() as session:
        sql = "SELECT request_id, candidate, type FROM feedback"
        rows: Counter[Key] = Counter(row for chunk in session.chunks(sql) for row in chunk)
    acknowledged = set[Key]().union(*(client.acknowledged for client in clients))
    return Found(
        rows=rows.total(),
        acknowledged=len(acknowledged),
        lost=len(acknowledged - rows.keys()),
        duplicates=rows.total() - len(rows) + sum(client.repeated_as_new for client in clients),
    )


def cycle(directory: Path, events: str, clients: list[Client], *, workers: int, longest_s: float, seed: int) -> None:
    """Start the service, let the clients post, kill it."""
    chance = random.Random(seed)  # noqa: S311 - when to kill, no secret
    service = Service(directory, events, free_port(), workers)
    try:
        service.wait()
        asyncio.run(_post_and_kill(service, clients, chance, longest_s))
    finally:
        service.kill()


async def _post_and_kill(service: Service, clients: list[Client], chance: random.Random, longest_s: float) -> None:
    stopped = asyncio.Event()
    posting = asyncio.gather(*(client.run(service.port, stopped) for client in clients))
    if service.worker_pids()[1:] and chance.random() < 0.5:  # noqa: PLR2004 - half of the cycles
        await asyncio.sleep(chance.uniform(0, longest_s))
        with suppress(ProcessLookupError):
            os.kill(chance.choice(service.worker_pids()), signal.SIGKILL)
    await asyncio.sleep(chance.uniform(0, longest_s))
    service.kill()
    stopped.set()
    await posting


def _event(request_id: str, candidate: str, kind: str) -> dict[str, object]:
    return {"request_id": request_id, "position": int(candidate[1:]), "type": kind}


def _key(event: dict[str, object]) -> Key:
    return str(event["request_id"]), f"#{event['position']}", str(event["type"])


@cli.command()
def main(
    *,
    cycles: Annotated[int, typer.Option(min=1, help="Starts and kills.")] = 200,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the service that write to one store.")] = 2,
    longest: Annotated[float, typer.Option(min=0.01, help="Most seconds from the first post to the kill.")] = 0.6,
    events: Annotated[str, typer.Option(help="URL of an empty event store; a SQLite file of its own if empty.")] = "",
    directory: Annotated[Path | None, typer.Option(help="Where the file goes; the system's temporary one.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random here.")] = 1,
    out: Annotated[Path, typer.Option(help="Where the findings go, JSON.")] = Path("build/proof/durability.json"),
) -> None:
    """Kill the service again and again; exit 1 if an acknowledged event is missing or stored twice."""
    home = Path(tempfile.mkdtemp(prefix="durability-", dir=directory))
    url = events or f"sqlite:{home}/events.sqlite3"
    clients = [Client(f"{seed}-c{i}", random.Random(f"{seed} {i}")) for i in range(CLIENTS)]  # noqa: S311 - as above
    started = time.monotonic()
    for number in track(range(cycles), description="kill -9"):
        cycle(home, url, clients, workers=workers, longest_s=longest, seed=hash((seed, number)))
    store = open_store(url, DAY_MS)
    found = compare(store, clients)
    refused = sum((client.refused for client in clients), Counter[int]())
    store.close()
    title = (
        f"{url.partition(':')[0]}, {workers} workers, {cycles} kills in {time.monotonic() - started:.0f} s: "
        f"acknowledged {found.acknowledged}, found {found.rows}, other answers {dict(refused)}"
    )
    checks = [
        Check(what="acknowledged events lost", target="0", found=str(found.lost), met=not found.lost),
        Check(what="duplicates", target="0", found=str(found.duplicates), met=not found.duplicates),
    ]
    if show(title, checks, out):
        typer.echo(f"the store is kept in {home}", err=True)
        raise typer.Exit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    cli()
