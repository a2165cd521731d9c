"""Server processes: each on one core, all on uvicorn with uvloop and httptools, each with the forms that it takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.bench import wire
from loadtest.bench.bundles import Subject
from loadtest.bench.wire import WireForm
from loadtest.bench.wrk import LoadError

NATIVE, ONNXRUNTIME = "native", "onnxruntime"
OURS = (NATIVE, ONNXRUNTIME)
"""The service with either scorer."""
REFERENCE, TUTORIAL, EMPTY = "reference", "tutorial", "empty"
_ROOT = Path(__file__).parents[2]
_STOP_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Server:
    """A command that prints its URL once it answers."""

    name: str
    command: tuple[str, ...]
    forms: tuple[WireForm, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def servers(subject: Subject) -> tuple[Server, ...]:
    """Every server, for one model."""
    others = {REFERENCE: wire.ID_ROWS, TUTORIAL: wire.TYPED_ROWS, EMPTY: wire.EMPTY}
    apps = [
        Server(
            name=name,
            command=("-m", "loadtest.bench.apps", name, "--graph", str(subject.rows_graph)),
            forms=(form,),
        )
        for name, form in others.items()
    ]
    return (*(ours(subject, scorer) for scorer in OURS), *apps)


def ours(subject: Subject, scorer: str) -> Server:
    """The service itself with one scorer."""
    options = ("--port", "0", "--student-bundle", str(subject.root), "--teacher-bundle", str(subject.root / "none"))
    return Server(
        name=scorer,
        command=("-m", "service", "serve", *options),
        forms=wire.OUR_FORMS,
        environment={"CTR_SCORER": scorer, "CTR_EVENTS": ""},
    )


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server that runs."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time its threads have taken, in ticks of usually 10 ms; 0 where there is no /proc."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return 0.0
        user, system = stat.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(started: tuple[Server, ...], core: int, logs: Path) -> Iterator[dict[str, Endpoint]]:
    """Server → endpoint, while all of them run pinned to `core`; what is not asked is idle.

    Raises:
        LoadError: one does not start; with what it said.
    """
    with ExitStack() as stack:
        yield {server.name: stack.enter_context(_running(server, core, logs)) for server in started}


@contextmanager
def _running(server: Server, core: int, logs: Path) -> Iterator[Endpoint]:
    command = ["taskset", "--cpu-list", str(core), sys.executable, *server.command]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    log = logs / f"{server.name}.log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command, cwd=_ROOT, env={**kept, **server.environment}, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            yield Endpoint(port=_port(server, process, log), pid=process.pid)
        finally:
            _stop(process)


def _port(server: Server, process: subprocess.Popen[str], log: Path) -> int:
    """The port in the first line that the server prints."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    line = process.stdout.readline()
    found = re.match(r"serving .* on http://127\.0\.0\.1:(\d+)", line)
    if found is None:
        said = log.read_text(errors="replace").strip()[-500:]
        raise LoadError(f"server {server.name}: got {line.strip() or 'nothing'!r}, expected its URL: {said}")
    return int(found[1])


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
