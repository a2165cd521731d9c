"""What logs and traces cost a request: processor time of the event loop's thread per answered /predict, in process.

No HTTP and no socket: the difference between two of these figures is what telling of requests costs, which a server's
own noise would hide. Every way is measured in turn, again and again, and the least is taken: the machine's other work
can only add. The exporter's thread is not in the figures; the collector named here is not there, so it only fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from time import thread_time_ns
from typing import Annotated, Any

import orjson
import typer

from service.app import Service, create_app
from service.settings import Settings

NOBODY = "http://127.0.0.1:9"
WAYS: dict[str, dict[str, Any]] = {
    "neither": {},
    "CTR_SLOW_MS": {"slow_ms": 60_000.0},
    "CTR_TRACES, none sampled": {"traces": NOBODY, "traces_ratio": 0.0},
    "CTR_TRACES, all sampled": {"traces": NOBODY, "traces_ratio": 1.0},
}
HEADERS = [(b"content-type", b"application/json"), (b"host", b"bench")]
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/predict",
    "query_string": b"",
    "scheme": "http",
    "http_version": "1.1",
    "server": ("127.0.0.1", 8000),
}
REQUESTS = 200
"""Of one way before the next has its turn."""


def main(
    student_bundle: Annotated[Path, typer.Option(help="Whose example is asked.")] = Path("bundles/student"),
    rounds: Annotated[int, typer.Option(min=1, help="Turns of every way.")] = 60,
) -> None:
    """Print microseconds per request, and what each way adds."""
    logging.disable()  # of the exporter that finds nobody
    least = asyncio.run(_measure(student_bundle, rounds))
    bare = least["neither"]
    for way, nanoseconds in least.items():
        typer.echo(f"{way:26} {nanoseconds / 1e3:8.2f} µs  {(nanoseconds - bare) / 1e3:+8.2f} µs")


async def _measure(bundle: Path, rounds: int) -> dict[str, float]:
    """Way → least nanoseconds of the loop's thread per request."""
    apps = {
        way: create_app(Settings(student_bundle=bundle, teacher_bundle=None, events="", **options))
        for way, options in WAYS.items()
    }
    least = dict.fromkeys(apps, float("inf"))
    async with AsyncExitStack() as stack:
        for app in apps.values():
            await stack.enter_async_context(app.router.lifespan_context(app))
        for _ in range(rounds):
            for way, app in apps.items():
                least[way] = min(least[way], await _turn(app))
    return least


async def _turn(app: Service) -> float:
    """Nanoseconds per request of one turn."""
    example = app.service_state.arms["student"].model.bundle.example
    body = orjson.dumps({"context": example["context"], "candidates": example["candidates"]})
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        statuses.append(message.get("status", HTTPStatus.OK))

    began = thread_time_ns()
    for _ in range(REQUESTS):
        await app({**SCOPE, "headers": HEADERS}, receive, send)
    took = (thread_time_ns() - began) / REQUESTS
    if set(statuses) != {HTTPStatus.OK}:
        raise RuntimeError(f"got statuses {set(statuses)}, expected 200 alone")
    return took


if __name__ == "__main__":
    typer.run(main)
