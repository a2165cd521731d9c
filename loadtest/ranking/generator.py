"""locust as a process of its own, on a core of its own: its arguments, its figures, its last words."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from loadtest.bench.wrk import LoadError
from loadtest.launch import Endpoint
from loadtest.ranking.budget import Verdict
from loadtest.ranking.record import StageFigures
from loadtest.ranking.stages import Stage

_ROOT = Path(__file__).parents[2]
LOCUSTFILE = _ROOT / "loadtest" / "locustfile.py"
SILENT_S = 120.0
"""Seconds beyond its stages after which a generator has hung."""
_POLL_S = 0.2
_LAST_WORDS = 800


@dataclass(frozen=True)
class Generator:
    """Runs locust against one server.

    Args:
        endpoint: the server.
        core: where locust runs; any without.
        options: of every run.
    """

    endpoint: Endpoint
    core: int | None
    options: Sequence[str]

    def run(
        self, folder: Path, stages: Sequence[Stage], options: Sequence[str], tick: Callable[[], None]
    ) -> list[StageFigures]:
        """The figures of the measured stages of one run, whose reports go to `folder`.

        Args:
            folder: made if there is none.
            stages: of the run.
            options: on top of those of every run.
            tick: called a few times a second.

        Raises:
            LoadError: there are no figures; with locust's last words.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "figures.json").unlink(missing_ok=True)
        written = ", ".join(f"{stage.name}:{stage.seconds:g}@{stage.load:g}" for stage in stages)
        own = ["--host", self.endpoint.url, "--server-pid", str(self.endpoint.pid), "--stages", written]
        reports = ["--report", str(folder), "--html", str(folder / "locust.html"), "--csv", str(folder / "locust")]
        arguments = [*own, *reports, *self.options, *options]
        code = _locust(arguments, self.core, folder / "locust.log", sum(stage.seconds for stage in stages), tick)
        figures = folder / "figures.json"
        if code not in set(Verdict) - {Verdict.NOT_STARTED} or not figures.exists():
            said = (folder / "locust.log").read_text(errors="replace").strip()[-_LAST_WORDS:]
            raise LoadError(f"locust ended with {code}, expected figures in {figures}: {said}")
        found = orjson.loads(figures.read_bytes())["stages"]
        return [figures_of(one) for one, stage in zip(found, stages, strict=False) if stage.measured]


def figures_of(read: dict[str, Any]) -> StageFigures:
    """Figures as they were before JSON, which has no nan."""
    known: dict[str, Any] = {name: math.nan if value is None else value for name, value in read.items()}
    return StageFigures(**known)


def _locust(arguments: Sequence[str], core: int | None, log: Path, seconds: float, tick: Callable[[], None]) -> int:
    pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
    command = [*pinned, sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    environment = {**os.environ, "GEVENT_BACKEND": "select"}
    with (
        log.open("wb") as said,
        subprocess.Popen(
            [*command, *arguments], cwd=_ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            return _waited(process, seconds + SILENT_S, tick)
        finally:
            process.kill()


def _waited(process: subprocess.Popen[bytes], seconds: float, tick: Callable[[], None]) -> int:
    polls = 0
    while polls * _POLL_S < seconds:
        try:
            return process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            polls += 1
            tick()
    raise LoadError(f"locust did not end within {seconds:g} s, expected it after its stages")
