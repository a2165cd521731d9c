"""wrk as the load: a closed loop on some connections, every connection sending its next request once it is answered.

wrk takes whole seconds, and moves latencies over twice the mean up by what it takes for coordinated omission: its p99
is if anything too high. It counts statuses above 399 alone as errors; our servers send no 3xx.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("wrk.lua")
HOW_TO_INSTALL = "wrk is not installed, expected it to send the load; apt-get install wrk, or brew install wrk"
ERRORS = ("connect", "read", "write", "status", "timeout")


class LoadError(RuntimeError):
    """A point could not be measured; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one point carried."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    requests: int


def installed() -> bool:
    """Whether wrk can be run."""
    return shutil.which("wrk") is not None


def write_requests(folder: Path, requests: Sequence[bytes]) -> None:
    """Write requests as wrk.lua reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, request in enumerate(requests):
        (folder / f"{number}.http").write_bytes(request)


def run_wrk(port: int, folder: Path, count: int, *, connections: int, seconds: int) -> Load:
    """Send the `count` requests in `folder` in turn to a local port, on the cores that this process has.

    Raises:
        LoadError: wrk failed, an answer was no success, or a connection broke.
    """
    options = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "10s"]
    command = ["wrk", *options, "--script", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(folder), str(count)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if finished.returncode:
        raise LoadError(f"wrk ended with {finished.returncode}: {(finished.stderr or finished.stdout).strip()[-300:]}")
    return read_load(finished.stdout)


def read_load(printed: str) -> Load:
    """The load from what wrk printed, its own text and wrk.lua's line.

    Raises:
        LoadError: there is no such line, no request was answered, or there were errors.
    """
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    if len(lines) != 1:
        raise LoadError(f"wrk printed {len(lines)} lines of JSON, expected one: {printed.strip()[-300:]}")
    found = json.loads(lines[0])
    errors = {kind: found[kind] for kind in ERRORS if found[kind]}
    if errors or not found["requests"]:
        raise LoadError(f"{found['requests']} answers with errors {errors}, expected answers and no error")
    return Load(
        requests_per_s=found["requests"] / found["duration_us"] * 1e6,
        p50_ms=found["p50_us"] / 1e3,
        p99_ms=found["p99_us"] / 1e3,
        requests=found["requests"],
    )
