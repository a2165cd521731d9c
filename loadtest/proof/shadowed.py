"""A service whose shadow is off, on, hung or dead, as a proof wants it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from loadtest.bench.client import Connection, get
from loadtest.bench.servers import Server, running
from loadtest.launch import Endpoint
from loadtest.proof.teacher import ADMIN, put
from service.experiment.document import check

OFF, ON, HUNG, DEAD, NEIGHBOUR = "off", "on", "hung", "dead", "no shadow, busy neighbour"
_PATIENCE_S = 120.0
_POLL_S = 0.02
_NOTED_S = 0.5
"""Seconds after which the service has counted what a child had in its queue when it ended."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What the service has counted."""

    answered: int
    """Requests to /predict with an answer."""
    ok: int
    error: int
    dropped: int

    @property
    def offered(self) -> int:
        """What became of requests offered to the shadow."""
        return self.ok + self.error + self.dropped


@contextmanager
def shadowed_service(student: Path, teacher: Path, folder: Path, core: int) -> Iterator[Endpoint]:
    """A service on one core whose event store is a file in `folder`."""
    options = ("--port", "0", "--student-bundle", str(student), "--teacher-bundle", str(teacher))
    environment = {"CTR_EVENTS": f"sqlite:{folder}/events.sqlite3", "CTR_ADMIN_TOKEN": ADMIN}
    server = Server(name="shadowed", command=("-m", "service", "serve", *options), forms=(), environment=environment)
    with running((server,), core, folder) as found:
        yield found[server.name]


class ShadowControl:
    """Brings the shadow of a service into a state, from outside: its document, and signals to the child.

    Args:
        endpoint: the service.
        core: where the child may run.
        teacher: bundle of the model that the shadow scores with.
        requests: whole requests that it is warmed up with.
    """

    def __init__(self, endpoint: Endpoint, core: int, teacher: Path, requests: Sequence[bytes]) -> None:
        self._endpoint = endpoint
        self._teacher = teacher
        self._core = core
        self._requests = requests

    @contextmanager
    def being(self, state: str) -> Iterator[None]:
        """While inside, the shadow is in this state; it is off before and after."""
        if state == OFF:
            yield
            return
        if state == NEIGHBOUR:
            with self._beside():
                yield
            return
        self._share(1.0)
        child = self._started()
        if state == HUNG:
            os.kill(child, signal.SIGSTOP)
            self._send_until(lambda counts: counts.dropped > 0)  # its queue is full from the first request on
        try:
            with self._kept_dead() if state == DEAD else nullcontext():
                yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
            self._share(0.0)
            _wait(lambda: not self._children(), "the shadow's child to end")
            time.sleep(_NOTED_S)

    def counts(self) -> Counts:
        """What the service has counted by now."""
        text = get(self._endpoint.port, "/metrics").body.decode()
        found = {result: _sum(text, rf'ctr_shadow_total{{result="{result}"}}') for result in ("ok", "error", "dropped")}
        answered = _sum(text, r'ctr_request_duration_seconds_count{[^}]*route="/predict",status_class="2xx"}')
        return Counts(answered=answered, **found)

    def _share(self, share: float) -> None:
        put(self._endpoint.port, check({"shadow": {"share": share, "models": ("student", "teacher")}}))

    def _started(self) -> int:
        """The child, on its core and with its model loaded."""
        _wait(self._children, "the shadow's child to start")
        (child,) = self._children()
        os.sched_setaffinity(child, {self._core})
        before = self.counts().ok
        self._send_until(lambda counts: counts.ok > before)
        return child

    def _send_until(self, reached: Callable[[Counts], bool]) -> None:
        with Connection(self._endpoint.port) as connection:
            deadline = time.monotonic() + _PATIENCE_S
            while not reached(self.counts()):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the shadow did not get there within {_PATIENCE_S:g} s: {self.counts()}")
                for request in self._requests:
                    connection.exchange(request)

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """A process on the shadow's core that does its work and has nothing to do with the service."""
        options = ["--bundle", str(self._teacher), "--core", str(self._core)]
        command = [sys.executable, "-m", "loadtest.proof.neighbour", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                if process.stdout is None or not process.stdout.readline():
                    raise RuntimeError(f"`{' '.join(command)}` ended before it worked")
                yield
            finally:
                process.kill()

    @contextmanager
    def _kept_dead(self) -> Iterator[None]:
        """Kill the child, and every other that takes its place as soon as it is seen."""
        done = Event()

        def kill() -> None:
            while not done.wait(_POLL_S):
                for child in self._children():
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)

        killer = Thread(target=kill)
        killer.start()
        try:
            _wait(lambda: not self._children(), "the shadow's child to die")
            yield
        finally:
            done.set()
            killer.join()

    def _children(self) -> list[int]:
        """Process ids of the shadow's children, of which there is one at most."""
        tasks = Path(f"/proc/{self._endpoint.pid}/task").glob("*/children")
        pids = [int(pid) for task in tasks for pid in _read(task).split()]
        return [pid for pid in pids if "service.shadow.launch" in _read(Path(f"/proc/{pid}/cmdline"))]


def cpu_ns(pid: int) -> int:
    """Nanoseconds that all threads of a process have run; other processes do not stretch them."""
    return sum(int(_read(path).split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _sum(text: str, series: str) -> int:
    return round(sum(float(value) for value in re.findall(rf"^{series} (\S+)$", text, re.MULTILINE)))


def _wait(condition: Callable[[], object], for_what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {_PATIENCE_S:g} s for {for_what}")
        time.sleep(_POLL_S)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it ended meanwhile
        return ""
