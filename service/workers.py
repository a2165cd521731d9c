"""Several processes on one port: uvicorn's own supervisor, and what it lacks.

uvicorn starts the workers, ends all of them on SIGTERM and SIGINT once what is in flight is answered, and on SIGHUP
replaces them one after another. Added here: one greeting when all of them listen, the directory of their metrics, a
watch that tells loading from hanging, an end to trying when workers die before they are ready, and to workers whose
supervisor is gone.

Every worker has a listening socket of its own on the port (SO_REUSEPORT), between which Linux spreads connections by
their hash. One socket for all is spread by who wakes first, which gave 7 of 8 connections opened at once to one worker.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import typer
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from service import logs
from service.app import Service, create_app
from service.greeting import announced, greeting
from service.multiprocess import MULTIPROCESS, forget_gauges
from service.settings import Settings
from service.settle import settle

SERVER: dict[str, Any] = {
    "http": "httptools",
    "loop": "uvloop",
    "lifespan": "on",
    "log_config": None,
    "access_log": False,
}
"""How uvicorn runs the app, in one process or in several."""
HANGING_S = 5.0
"""Seconds without a sign of life after which a worker that was ready is replaced."""
RELOADING_S = 300
"""Seconds in which a worker's successor must be ready after SIGHUP; the worker stays otherwise."""
MOST_STILLBORN = 3
"""So many workers in a row may die before they are ready; then the service gives up instead of trying for ever."""

logger = logging.getLogger(__name__)


def serve_with_workers(settings: Settings, bound: Sequence[socket.socket], url: str) -> int:
    """Serve until told to stop; the exit code, 1 if workers could not be kept alive.

    Args:
        settings: with more than one worker.
        bound: sockets that hold the ports for all workers; they never listen.
        url: where they will be reached.
    """
    # Set after binding: the port was free then, and from here on workers may bind it too.
    for held in bound:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    with TemporaryDirectory(prefix="ctr-workers-") as name:
        os.environ[MULTIPROCESS] = name  # workers inherit it, and find it when they import the client library
        config = uvicorn.Config(
            partial(worker, settings, url, Path(name)),
            factory=True,
            workers=settings.workers,
            timeout_worker_healthcheck=RELOADING_S,
            **SERVER,
        )
        supervisor = Supervisor(config, [SharedPort(held) for held in bound], Path(name))
        supervisor.run()
        return int(supervisor.failed)


class SharedPort:
    """Stands for a listening socket in the supervisor, and becomes one of its own in every worker it is sent to."""

    def __init__(self, bound: socket.socket) -> None:
        self._family = bound.family
        self._address = bound.getsockname()

    def __reduce__(self) -> tuple[Callable[..., socket.socket], tuple[Any, ...]]:
        return _bind_shared, (self._family, self._address)


class Supervisor(Multiprocess):
    """uvicorn's supervisor; `directory` holds the metrics of the workers and the greeting of each that is ready.

    Attributes:
        failed: whether it stopped because workers did not live.
    """

    def __init__(self, config: uvicorn.Config, ports: list[SharedPort], directory: Path) -> None:
        super().__init__(config, cast("list[socket.socket]", ports))
        self.failed = False
        self._directory = directory
        self._seen: set[int] = set()
        self._stillborn = 0
        self._greeted = False

    def keep_subprocess_alive(self) -> None:
        """Replace dead and hung workers; called twice a second.

        Instead of uvicorn's own, which takes a worker for hung that imports and loads for longer than its limit, and
        waits out that limit for one that dies meanwhile, deaf to signals.
        """
        for position, process in enumerate(self.processes):
            if self._lives(process):
                continue
            process.kill()
            process.join()
            self._note_death(process)
            if self.failed:
                self.should_exit.set()
                return
            self.processes[position] = Process(self.config, self.sockets)
            self.processes[position].start()
        self._forget_the_gone()
        self._greet()

    def _lives(self, process: Process) -> bool:
        """Whether a worker runs and, once it was ready, gives signs of life."""
        starting = not self._greeting_file(process).exists()
        return process.process.is_alive() and (starting or process.ping(HANGING_S))

    def _note_death(self, process: Process) -> None:
        self._stillborn = 0 if self._greeting_file(process).exists() else self._stillborn + 1
        self.failed = self._stillborn >= MOST_STILLBORN
        if not self.failed:
            logger.warning("worker %s died (exit code %s), another takes its place", process.pid, process.exitcode)
            return
        logger.error(
            "%d workers in a row died before they were ready (the last with exit code %s); giving up, "
            "see what they logged or start with --workers 1",
            self._stillborn,
            process.exitcode,
        )

    def _forget_the_gone(self) -> None:
        """Dead workers, and those that SIGHUP replaced, leave no gauges and no greeting behind."""
        living = {process.pid for process in self.processes if process.pid is not None}
        for pid in self._seen - living:
            forget_gauges(pid, self._directory)
            _greeting_file(self._directory, pid).unlink(missing_ok=True)
        self._seen = living

    def _greet(self) -> None:
        """Once, when all workers listen; workers that are not of one mind have a say each."""
        files = [self._greeting_file(process) for process in self.processes]
        if self._greeted or not all(path.exists() for path in files):
            return
        if all(process.is_ready(HANGING_S) for process in self.processes):
            self._greeted = True
            typer.echo(announced("\n".join(dict.fromkeys(path.read_text() for path in files))))

    def _greeting_file(self, process: Process) -> Path:
        return _greeting_file(self._directory, process.pid or 0)


def worker(settings: Settings, url: str, directory: Path) -> Service:
    """The app of one worker; uvicorn calls it in the worker's process."""
    logs.configure(settings.log_level, settings.log_format, "worker")
    threading.Thread(target=_end_with_the_supervisor, daemon=True).start()
    app = create_app(settings)
    loaded = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[Any]:
        async with loaded(app) as state:
            settle()
            path = _greeting_file(directory, os.getpid())
            path.with_suffix(".new").write_text(greeting(app, url))
            path.with_suffix(".new").replace(path)
            yield state

    app.router.lifespan_context = lifespan
    return app


def _end_with_the_supervisor() -> None:
    """Nobody would stop or replace a worker whose supervisor was killed, and it would keep the port."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _greeting_file(directory: Path, pid: int) -> Path:
    return directory / f"{pid}.greeting"


def _bind_shared(family: int, address: tuple[Any, ...]) -> socket.socket:
    """A socket on an address that others of the same user hold too."""
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(address)
    return listener
