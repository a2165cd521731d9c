"""Programs that the tests of docker/ start: each a process of its own, on a free port, ended with its test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "docker" / "prometheus"
GRAFANA = ROOT / "docker" / "grafana"
PATIENCE_S = 60.0
"""Longer than anything waited for takes on a busy machine."""


def needed(program: str) -> str:
    """Where a program of Prometheus is; without it the test is skipped unless REQUIRE_PROMETHEUS is 1."""
    found = shutil.which(program)
    if found is None:
        reason = f"no {program} on the PATH; install Prometheus to test its files, REQUIRE_PROMETHEUS=1 makes this fail"
        if os.environ.get("REQUIRE_PROMETHEUS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def promtool(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    command = [needed("promtool"), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=300)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def until(true: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something is true; fails when it never is, or when the process that should make it so has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert process is None or process.poll() is None, f"{what}: the process ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:g} s"
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether GET `url` is answered with 200 by now."""
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@contextmanager
def started(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """While inside, a program runs, ready or not; its output goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def service(port: int, **settings: str) -> tuple[list[str], dict[str, str]]:
    """The command of a service, and the environment that has its settings."""
    environment = {f"CTR_{name.upper()}": value for name, value in settings.items()}
    return [sys.executable, "-m", "service", "serve", "--port", str(port)], environment
