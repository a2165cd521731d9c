"""A tiny service that runs, and locust as a process of its own: its monkey-patching must not come in here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from loadtest.ranking.generator import LOCUSTFILE
from loadtest.ranking.record import StageFigures
from loadtest.traffic.serve import EXPERIMENT, Served, Wanted, experiment_service


class Ended(NamedTuple):
    """A run of locust."""

    code: int
    said: str
    report: Path

    @property
    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads((self.report / "figures.json").read_bytes())
        return found


Locust = Callable[..., Ended]


@pytest.fixture(scope="session")
def served(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A student with an experiment and an event store, and no teacher of another model."""
    if sys.platform != "linux":
        pytest.skip("workers are found through /proc")
    wanted = Wanted(student=bundles / "student", experiment=EXPERIMENT, tokens=True)
    with experiment_service(wanted, tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture
def locust(tmp_path: Path) -> Locust:
    """Runs locust headless with these options and environment variables."""

    def run(host: str, *options: str, **variables: str) -> Ended:
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
        small = ["--host", host, "--prepared", "60", "--candidates", "4", "--report", str(tmp_path / "report")]
        environment = {**os.environ, "GEVENT_BACKEND": "select", **variables}
        ended = subprocess.run(
            [*command, *small, *options], capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        return Ended(ended.returncode, ended.stdout + ended.stderr, tmp_path / "report")

    return run


@pytest.fixture(scope="session")
def figures() -> Callable[..., StageFigures]:
    """A stage in which all went well, but for what is given."""

    def of(**changed: Any) -> StageFigures:
        usual: dict[str, Any] = {
            "name": "low",
            "seconds": 10.0,
            "load": 100.0,
            "asked": 1000,
            "errors": 0,
            "error_ratio": 0.0,
            "requests_per_s": 100.0,
            "candidates_per_s": 10_000.0,
            "p50_ms": 1.0,
            "p95_ms": 2.0,
            "p99_ms": 3.0,
            "late_waiting": 0,
            "late_generator": 0,
            "own_late_p99_ms": 0.1,
            "own_cores": 0.2,
            "lag_p99_ms": 0.5,
        }
        return StageFigures(**{**usual, **changed})

    return of
