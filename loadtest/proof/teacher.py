"""Proof that a teacher which hangs or dies costs the student nothing (T7): its latency, and errors of anybody.

    python -m loadtest.proof.teacher --student-bundle bundles/student --teacher-bundle bundles/teacher

The service under test and its student stand on one core. The teacher is another service, on the other core together
with the client, and is left alone, asked by its arm of an experiment, stopped (SIGSTOP: connections stay, nothing
answers) or killed. The four take turns within one run. Units of the student's arm ask at a constant rate, and their
latency counts from the moment a request was due. Units of the teacher's arm ask beside them, paced, from a process of
their own; each must be answered, by the teacher or in its place. That process has the client's core, so being asked at
all costs the client; a teacher that fails is therefore compared with one that answers.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Annotated

import aiohttp
import numpy as np
import numpy.typing as npt
import orjson
import typer

from loadtest.bench.client import Connection as Wire
from loadtest.bench.servers import Server, running
from loadtest.bench_workers import http_request
from loadtest.launch import Endpoint
from loadtest.proof.checks import Check, show
from service.bundle import read_bundle
from service.experiment.assignment import Assigner
from service.experiment.document import Document, check

HEALTHY, FAILING = "healthy", ("hung", "dead")
STATES = ("alone", HEALTHY, *FAILING)
"""What the teacher is, while the student is measured; alone: nobody asks for the teacher's arm."""
SERVICE_CORE, OTHER_CORE = 0, 1
ADMIN = "proof"
ASKING = 8
"""Connections of the teacher's arm, the most that may wait for a teacher by default."""
PACE_S = 0.1
"""Seconds between two requests of one of them."""
TIMEOUT_MS = 100
OK = 200


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One measurement in one state of the teacher."""

    state: str
    p50_ms: float
    p99_ms: float
    asked: int
    """Requests of the teacher's arm."""
    fallbacks: int
    errors: int
    """Answers of the teacher's arm that were no 200; one of the student's arm ends the run."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much is asked, and how long."""

    candidates: int
    rate: float
    """Requests of the student's arm per second."""
    seconds: float
    """Of every measurement."""
    rounds: int


def document(teacher: str) -> Document:
    """An experiment of student and teacher."""
    arms = [{"name": name, "weight": 5000, "model": name} for name in ("student", teacher)]
    return check({"experiments": [{"name": "proof", "arms": arms}]})


def requests_of(arm: str, bundle: Path, candidates: int, count: int) -> list[bytes]:
    """Whole requests of units that have this arm."""
    assign = Assigner(document("teacher")).assign
    units = (unit for unit in (f"unit-{number}" for number in range(100_000)) if assign(unit, {}).arm == arm)
    example = read_bundle(bundle).example
    made = []
    for _ in range(count):
        head, _, body = http_request(example, candidates).partition(b"\r\n\r\n")
        content = {**orjson.loads(body), "unit": next(units)}
        del content["request_id"]
        encoded = orjson.dumps(content)
        first = head.rpartition(b"\r\n")[0]
        made.append(first + b"\r\nContent-Length: %d\r\n\r\n" % len(encoded) + encoded)
    return made


@contextmanager
def services(student: Path, teacher: Path, folder: Path) -> Iterator[tuple[Endpoint, Endpoint]]:
    """The service under test and the teacher's."""
    options = ("-m", "service", "serve", "--port", "0", "--student-bundle")
    teaching = Server(name="teacher", command=(*options, str(teacher)), forms=(), environment={"CTR_EVENTS": ""})
    with running((teaching,), OTHER_CORE, folder) as found:
        environment = {
            "CTR_EVENTS": f"sqlite:{folder}/events.sqlite3",
            "CTR_ADMIN_TOKEN": ADMIN,
            "CTR_TEACHER_TIMEOUT_MS": str(TIMEOUT_MS),
            "CTR_ARMS": orjson.dumps({"teacher": f"http://127.0.0.1:{found['teacher'].port}/student/predict"}).decode(),
        }
        tested = Server(name="service", command=(*options, str(student)), forms=(), environment=environment)
        with running((tested,), SERVICE_CORE, folder) as also:
            put(also["service"].port, document("teacher"))
            yield also["service"], found["teacher"]


def put(port: int, wanted: Document) -> None:
    """Put a document in force; raises RuntimeError if it is refused."""
    body = wanted.model_dump_json().encode()
    head = (
        f"PUT /experiment HTTP/1.1\r\nHost: proof\r\nAuthorization: Bearer {ADMIN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with Wire(port) as connection:
        answer = connection.exchange(head.encode() + body)
    if answer.status != OK:
        raise RuntimeError(f"PUT /experiment: got {answer.status}, expected {OK}: {answer.body[:300]!r}")


def ask_teacher(port: int, bodies: Sequence[bytes], seconds: float, told: Connection) -> None:
    """Ask for the teacher's arm on a connection per body, each at a constant pace; a process of its own runs this."""
    told.send(asyncio.run(_ask_all(port, bodies, seconds, told)))


async def _ask_all(port: int, bodies: Sequence[bytes], seconds: float, told: Connection) -> tuple[int, int, int]:
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}", headers={"content-type": "application/json"}
    ) as session:
        told.send("ready")
        said = await asyncio.gather(*(_ask(session, body, seconds) for body in bodies))
    asked, fallbacks, errors = (sum(column) for column in zip(*said, strict=True))
    return asked, fallbacks, errors


async def _ask(session: aiohttp.ClientSession, body: bytes, seconds: float) -> tuple[int, int, int]:
    """Requests, those answered in the teacher's place, and errors."""
    asked = fallbacks = errors = 0
    ends = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < ends:
        async with session.post("/predict", data=body) as answer:
            content = await answer.read()
        asked += 1
        errors += answer.status != OK
        fallbacks += b'"fallback":true' in content
        await asyncio.sleep(max(0.0, PACE_S - (time.perf_counter() - begun)))
    return asked, fallbacks, errors


@contextmanager
def teacher_asked(port: int, bodies: Sequence[bytes], seconds: float) -> Iterator[list[int]]:
    """While inside, the teacher's arm is asked; afterwards the list holds requests, fallbacks and errors."""
    said = [0, 0, 0]
    if not bodies:
        yield said
        return
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    asker = spawn.Process(target=ask_teacher, args=(port, bodies, seconds, there))
    asker.start()
    here.recv()
    yield said
    said[:] = here.recv()
    asker.join()


def paced_latencies(port: int, requests: Sequence[bytes], *, rate: float, seconds: float) -> npt.NDArray[np.float64]:
    """Milliseconds from the moment each request was due to its whole answer, on one connection.

    Unlike the benchmark's client this one sleeps until a request is due: it shares its core with the teacher.

    Raises:
        ConnectionError: an answer was no 200.
    """
    latencies = np.empty(max(1, int(rate * seconds)))
    with Wire(port) as connection:
        start = time.perf_counter()
        for position in range(len(latencies)):
            due = start + position / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            answer = connection.exchange(requests[position % len(requests)])
            latencies[position] = time.perf_counter() - due
            if answer.status != OK:
                raise ConnectionError(f"got {answer.status}, expected {OK}: {answer.body[:200]!r}")
    return latencies * 1e3


def measure(state: str, port: int, asking: Sequence[bytes], own: Sequence[bytes], pace: Pace) -> Turn:
    """The student's latency in one state of the teacher."""
    bodies = () if state == "alone" else [request.partition(b"\r\n\r\n")[2] for request in asking]
    with teacher_asked(port, bodies, pace.seconds) as said:
        latencies_ms = paced_latencies(port, own, rate=pace.rate, seconds=pace.seconds)
    asked, fallbacks, errors = said
    p50_ms, p99_ms = np.percentile(latencies_ms, [50, 99]).tolist()
    return Turn(state=state, p50_ms=p50_ms, p99_ms=p99_ms, asked=asked, fallbacks=fallbacks, errors=errors)


def turns(student: Path, teacher: Path, pace: Pace) -> Iterator[Turn]:
    """Every state in every round; the teacher dies last, so each round has a teacher of its own."""
    own = requests_of("student", student, pace.candidates, 64)
    asking = requests_of("teacher", student, pace.candidates, ASKING)
    for _ in range(pace.rounds):
        with tempfile.TemporaryDirectory() as name, services(student, teacher, Path(name)) as (service, other):
            paced_latencies(service.port, own, rate=pace.rate, seconds=1.0)
            for state in STATES:
                if state == "hung":
                    os.kill(other.pid, signal.SIGSTOP)
                if state == "dead":
                    os.kill(other.pid, signal.SIGKILL)
                yield measure(state, service.port, asking, own, pace)


def checks(found: Sequence[Turn]) -> list[Check]:
    """What T7 asks of a teacher's arm, from all turns: hung or dead it costs the student no more than healthy."""
    by_state = {state: [turn for turn in found if turn.state == state] for state in STATES}
    return [check for state in STATES for check in _judged(state, by_state[state], by_state[HEALTHY])]


def _judged(state: str, turned: Sequence[Turn], healthy: Sequence[Turn]) -> Iterator[Check]:
    usual, p99 = (median(turn.p99_ms for turn in turns) for turns in (healthy, turned))
    p50 = median(turn.p50_ms for turn in turned)
    asked, fallbacks = sum(turn.asked for turn in turned), sum(turn.fallbacks for turn in turned)
    errors = sum(turn.errors for turn in turned)
    failing = state in FAILING
    yield Check(
        what=f"teacher {state}: student's p99",
        target="+2 % or +0.2 ms" if failing else "(for comparison)",
        found=f"{p99:.2f} ms, {p99 - usual:+.2f} to {HEALTHY} (p50 {p50:.2f})",
        met=p99 - usual <= max(0.2, 0.02 * usual) if failing else None,
    )
    if asked:
        yield Check(
            what=f"teacher {state}: its arm's requests",
            target="0 errors, all in its place" if failing else "0 errors",
            found=f"{asked} asked, {fallbacks} in its place, {errors} errors",
            met=errors == 0 and (fallbacks == asked or not failing),
        )


def main(
    *,
    student_bundle: Annotated[Path, typer.Option(help="Student's bundle.")] = Path("bundles/student"),
    teacher_bundle: Annotated[Path, typer.Option(help="Teacher's bundle.")] = Path("bundles/teacher"),
    candidates: Annotated[int, typer.Option(help="Candidates of a request.")] = 200,
    rate: Annotated[float, typer.Option(help="Requests of the student's arm per second.")] = 500.0,
    seconds: Annotated[float, typer.Option(help="Of every measurement.")] = 3.0,
    rounds: Annotated[int, typer.Option(help="Every state is measured so often.")] = 5,
    out: Annotated[Path, typer.Option(help="Where the figures are written as JSON.")] = Path(
        "build/proof/teacher.json"
    ),
) -> None:
    """Measure, print target, found, met."""
    os.sched_setaffinity(0, {OTHER_CORE})
    found = []
    pace = Pace(candidates=candidates, rate=rate, seconds=seconds, rounds=rounds)
    for turn in turns(student_bundle, teacher_bundle, pace):
        found.append(turn)
        typer.echo(f"{turn.state:8} p50 {turn.p50_ms:.2f} ms, p99 {turn.p99_ms:.2f} ms", err=True)
    raise typer.Exit(show("A teacher that hangs or dies", checks(found), out))


if __name__ == "__main__":
    typer.run(main)
