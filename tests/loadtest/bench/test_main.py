"""The command line: what is missing or wrong is one line that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(*options: str, path: Path) -> subprocess.CompletedProcess[str]:
    """The benchmark with programs found in `path` alone."""
    environment = {**os.environ, "PATH": str(path)}
    command = [sys.executable, "-m", "loadtest.bench", *options]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_without_wrk_it_says_how_to_install_it(tmp_path: Path) -> None:
    finished = run("--quick", path=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.strip().splitlines() == [
        "error: wrk is not installed, expected it to send the load; apt-get install wrk, or brew install wrk"
    ]


def test_an_unknown_shape_is_named_with_the_known_ones(tmp_path: Path) -> None:
    finished = run("--shapes", "reference,huge", path=tmp_path)
    assert finished.returncode == 1
    assert "got huge, expected some of MovieLens-1M, reference, Criteo" in finished.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no processes")
def test_one_core_is_too_few(tmp_path: Path) -> None:
    """A program called wrk is there, so that the cores are what is looked at next."""
    program = tmp_path / "wrk"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        finished = run("--quick", path=tmp_path)
    finally:
        os.sched_setaffinity(0, before)
    assert finished.returncode == 1
    assert "this process may use 1 core(s), expected 2" in finished.stderr
