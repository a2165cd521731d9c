"""What a shadow takes of the student's core when it has the other one to itself (T7): requests per second, in process.

    python -m loadtest.proof.shadow_core --student-bundle bundles/student --teacher-bundle bundles/teacher

On two cores `loadtest.proof.shadow` has to put the client beside the shadow, which then has no free core, and a client
that is slowed sends less. Here nobody sends: the app is called in this process, pinned to one core, one request after
the other, and the shadow's child has the other core. Short windows with and without offers alternate, the child scoring
all the time; the median of their ratios counts. HTTP, which costs the same in both, is left out: the share that the
shadow takes of a request is larger here than over a socket.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from loadtest.proof.checks import Check, show
from loadtest.proof.shadow import LEAST_THROUGHPUT, OTHER_CORE, SERVICE_CORE, requests_of
from service.app import Service, create_app
from service.experiment.document import check
from service.settings import Settings

WINDOW = 1500
"""Requests of one window."""
PATIENCE_S = 60.0

Call = Callable[[bytes], Awaitable[None]]


def caller(app: Service) -> Call:
    """What asks the app for one prediction, as a server would."""

    async def call(body: bytes) -> None:
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = [(b"content-type", b"application/json")]
        await app({"type": "http", "method": "POST", "path": "/predict", "headers": headers}, receive, send)
        if statuses != [200]:
            raise RuntimeError(f"got {statuses}, expected 200")

    return call


async def window(call: Call, bodies: list[bytes]) -> float:
    """Requests per second of one window."""
    started = time.perf_counter()
    for number in range(WINDOW):
        await call(bodies[number % len(bodies)])
    return WINDOW / (time.perf_counter() - started)


async def measured(app: Service, bodies: list[bytes], rounds: int) -> tuple[list[float], int]:
    """Ratio of each pair of windows, and how many requests the child compared meanwhile."""
    state, call = app.service_state, caller(app)
    if state.running is None:
        raise RuntimeError(f"the service has no event store: {state.reasons}")
    state.running.live.put(check({"shadow": {"share": 1.0}}), reason="proof")
    compared = state.metrics.registry.get_sample_value
    deadline = time.monotonic() + PATIENCE_S
    while not compared("ctr_shadow_total", {"result": "ok"}):
        await call(bodies[0])
        await asyncio.sleep(0.01)
        if time.monotonic() > deadline:
            raise RuntimeError(f"the shadow compared nothing within {PATIENCE_S:g} s")
    os.sched_setaffinity(state.shadow.pid or 0, {OTHER_CORE})
    before = compared("ctr_shadow_total", {"result": "ok"}) or 0.0
    ratios, offer = [], state.shadow.offer
    for _ in range(rounds):
        state.shadow.offer = _nothing  # type: ignore[method-assign] # the child goes on with what it has
        without = await window(call, bodies)
        state.shadow.offer = offer  # type: ignore[method-assign]
        ratios.append(await window(call, bodies) / without)
    return ratios, round((compared("ctr_shadow_total", {"result": "ok"}) or 0.0) - before)


def _nothing(*_given: object, **_named: object) -> None:
    """Stands for an offer while none is made."""


async def _run(student: Path, teacher: Path, candidates: int, rounds: int) -> tuple[list[float], int]:
    bodies = [request.partition(b"\r\n\r\n")[2] for request in requests_of(student, candidates)]
    with tempfile.TemporaryDirectory() as name:
        app = create_app(Settings(student_bundle=student, teacher_bundle=teacher, events=f"sqlite:{name}/e.sqlite3"))
        async with app.router.lifespan_context(app):
            return await measured(app, bodies, rounds)


def main(
    *,
    student_bundle: Annotated[Path, typer.Option(help="Student's bundle.")] = Path("bundles/student"),
    teacher_bundle: Annotated[Path, typer.Option(help="Teacher's bundle.")] = Path("bundles/teacher"),
    candidates: Annotated[int, typer.Option(help="Candidates of a request.")] = 200,
    rounds: Annotated[int, typer.Option(help="Pairs of windows.")] = 60,
    out: Annotated[Path, typer.Option(help="JSON file of the figures.")] = Path("build/proof/shadow_core.json"),
) -> None:
    """Measure, print target, found, met."""
    os.sched_setaffinity(0, {SERVICE_CORE})
    ratios, compared = asyncio.run(_run(student_bundle, teacher_bundle, candidates, rounds))
    found = median(ratios)
    checks = [
        Check(
            what="requests/s with offers over without",
            target=f">= {LEAST_THROUGHPUT:.2f}",
            found=f"{found:.3f}",
            met=found >= LEAST_THROUGHPUT,
        ),
        Check(
            what="requests compared meanwhile",
            target="(for comparison)",
            found=f"{compared:,} of {rounds * WINDOW:,} offered",
            met=None,
        ),
    ]
    raise typer.Exit(show("A shadow with a core of its own", checks, out))


if __name__ == "__main__":
    typer.run(main)
