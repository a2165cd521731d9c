from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from loadtest.traffic.serve import Wanted, experiment_service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found through /proc")

FEW = ("--users", "80", "--requests", "200", "--candidates", "8", "--shown", "4", "--days", "2")


def traffic(*options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest.traffic", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_service_of_its_own_is_started_driven_and_reported_on(bundles: Path, tmp_path: Path) -> None:
    options = ("--serve", "--bundle", bundles / "student", "--lift", 0.5, "--tokens", "--duplicates", 0.05)
    ended = traffic(*options, *FEW, "--out", tmp_path)
    assert ended.returncode == 0, ended.stderr
    for words in ("truth by arm", "control", "treatment", "duplicates", "/predict", "inconclusive"):
        assert words in ended.stdout.lower()
    found = orjson.loads((tmp_path / "truth.json").read_bytes())
    assert found["truth"]["caused_lift"] == pytest.approx(0.5, rel=1e-9)
    assert sum(found["assigned"].values()) == 200


def test_a_running_service_that_keeps_no_feedback_makes_it_fail_and_say_why(bundles: Path, tmp_path: Path) -> None:
    with experiment_service(Wanted(student=bundles / "student", store=""), tmp_path) as served:
        ended = traffic("--url", served.url, "--bundle", bundles / "student", *FEW, "--out", tmp_path)
    assert ended.returncode == 1
    assert "visits met an error, expected at most 0.10%: /feedback: " in ended.stderr


def test_nobody_at_the_url_is_one_line(bundles: Path, tmp_path: Path) -> None:
    ended = traffic("--url", "http://127.0.0.1:9", "--bundle", bundles / "student", *FEW, "--out", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: Cannot connect to host 127.0.0.1:9")
    assert len(ended.stderr.splitlines()) == 1


def test_late_feedback_needs_to_know_how_late_is_late(bundles: Path, tmp_path: Path) -> None:
    ended = traffic("--bundle", bundles / "student", "--late", 0.1, "--out", tmp_path)
    assert ended.returncode == 1
    assert "got no --attribution-s, expected the seconds of CTR_ATTRIBUTION_HOURS" in ended.stderr


def test_a_bundle_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    ended = traffic("--bundle", tmp_path / "nowhere", "--out", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {tmp_path}/nowhere: ")
