"""What a second worker brings: requests per second and CPU time per request with one worker and with several.

    python -m loadtest.bench_workers --student-bundle bundles/student

One process keeps CONNECTIONS connections busy, each with one request at a time. It needs CPU too: where it and the
workers together have no more cores than the workers alone could use, the gain is bounded by what it leaves, which is
why its own share stands in the table. Large N shifts the work into the server, where workers can divide it.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import orjson
import typer

from loadtest.launch import cpu_s, launched, without_settings
from service.bundle import read_bundle

CONNECTIONS = 16
SIZES = (1, 200, 2000)
"""Candidates of a request."""
REPETITIONS = 5
SECONDS = 1.0
"""Of one repetition; services and sizes take turns."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One repetition, or the medians of several."""

    rate: float
    """Requests per second."""
    server_us: float
    """CPU time of all workers per request."""
    server_cores: float
    """Cores that the workers kept busy."""
    load_cores: float
    """The share of a core that the load took."""


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int
    processes: list[int]
    """Those that answer."""

    def cpu_s(self) -> float:
        """CPU seconds of its processes so far."""
        return sum(cpu_s(pid) for pid in self.processes)


@contextmanager
def serving(
    bundle: Path, workers: int, settings: Mapping[str, str] | None = None, core: int | None = None
) -> Iterator[Service]:
    """A service with so many workers on a free port; raises RuntimeError if it does not come up.

    Args:
        bundle: the student's.
        workers: processes that answer.
        settings: further variables `CTR_*`, which are then the only ones; without, this process's own and no events.
        core: the only one it may use; any without.
    """
    options = ("--student-bundle", str(bundle), "--port", "0", "--workers", str(workers))
    environment = {**os.environ, "CTR_EVENTS": ""} if settings is None else {**without_settings(), **settings}
    with launched(("-m", "service", "serve", *options), environment, name="the service", core=core) as endpoint:
        yield Service(endpoint.port, _workers(endpoint.pid) or [endpoint.pid])


def _workers(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def http_request(example: dict[str, Any] | Any, candidates: int) -> bytes:
    """A whole prediction request: the example's context, its candidates over and over; every answer has one length."""
    columns = {
        name: [column[position % len(column)] for position in range(candidates)]
        for name, column in example["candidates"].items()
    }
    body = orjson.dumps({"request_id": "bench", "context": example["context"], "candidates": columns})
    head = f"POST /predict HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def answer_length(port: int, request: bytes) -> int:
    """Bytes of a whole answer to `request`; raises RuntimeError if it is not a prediction."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(1 << 16)
    head, _, _ = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    if length is None or b" 200 " not in head[:20]:
        raise RuntimeError(f"got {answer[:200]!r}, expected a prediction")
    return len(head) + 4 + int(length[1])


def measure(service: Service, request: bytes, seconds: float) -> Measured:
    """Keep every connection busy for a while."""
    length = answer_length(service.port, request)
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            address = "127.0.0.1", service.port
            connection = opened.enter_context(socket.create_connection(address, timeout=10))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ, [0])
            connection.sendall(request)
        _run(selector, request, length, 0.2)
        before, load_before, started = service.cpu_s(), time.process_time(), time.perf_counter()
        answered = _run(selector, request, length, seconds)
        took = time.perf_counter() - started
        server_s, load_s = service.cpu_s() - before, time.process_time() - load_before
    return Measured(
        rate=answered / took,
        server_us=server_s / answered * 1e6,
        server_cores=server_s / took,
        load_cores=load_s / took,
    )


def _run(selector: selectors.BaseSelector, request: bytes, length: int, seconds: float) -> int:
    """Answers received in so many seconds; each is followed by the next request on its connection."""
    answered, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(1.0):
            connection: Any = key.fileobj
            key.data[0] += len(connection.recv(1 << 18))
            if key.data[0] >= length:
                key.data[0] = 0
                answered += 1
                connection.sendall(request)
    return answered


def medians(repetitions: list[Measured]) -> Measured:
    """The median of every figure."""
    names = ("rate", "server_us", "server_cores", "load_cores")
    return Measured(**{name: median(getattr(one, name) for one in repetitions) for name in names})


def main(
    student_bundle: Annotated[Path, typer.Option(help="Bundle to serve.")] = Path("bundles/student"),
    workers: Annotated[int, typer.Option(min=2, help="To compare with one worker.")] = 2,
    repetitions: Annotated[int, typer.Option(min=1)] = REPETITIONS,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of one repetition.")] = SECONDS,
) -> None:
    """Compare one worker with several, in turns, and print a table."""
    bundle = read_bundle(student_bundle)
    found: dict[tuple[int, int], list[Measured]] = {}
    with ExitStack() as started:
        services = {count: started.enter_context(serving(student_bundle, count)) for count in (1, workers)}
        for size in SIZES:
            request = http_request(bundle.example, size)
            for _ in range(repetitions):
                for count, service in services.items():
                    found.setdefault((size, count), []).append(measure(service, request, seconds))
    typer.echo(f"{os.cpu_count()} cores, {CONNECTIONS} connections, medians of {repetitions} x {seconds:g} s")
    typer.echo("| N | workers | requests/s | against one | server µs/request | server cores | load cores |")
    typer.echo("|---|---|---|---|---|---|---|")
    for (size, count), several in found.items():
        one, typical = medians(found[size, 1]), medians(several)
        typer.echo(
            f"| {size} | {count} | {typical.rate:,.0f} | {typical.rate / one.rate:.2f} | {typical.server_us:,.0f} "
            f"| {typical.server_cores:.2f} | {typical.load_cores:.2f} |"
        )


if __name__ == "__main__":
    typer.run(main)
