from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from loadtest.ranking.budget import Verdict
from loadtest.ranking.compare import CAPACITY, EQUAL, STUDENT, TEACHER, Schedule, doubts, ratios
from loadtest.ranking.generator import figures_of
from loadtest.ranking.record import StageFigures

Figures = Callable[..., StageFigures]
ROOT = Path(__file__).parents[3]


def test_ratios_compare_the_two_where_both_answer_equally_many_requests(figures: Figures) -> None:
    busy = {"name": CAPACITY, "server_cores": 1.0}
    found = {
        STUDENT: [
            figures(**busy, requests_per_s=4000),
            figures(name=EQUAL, load=50, p50_ms=1, p99_ms=2, cpu_s_per_million=3),
        ],
        TEACHER: [
            figures(**busy, requests_per_s=100),
            figures(name="50%", load=50, p50_ms=8, p99_ms=30, cpu_s_per_million=60),
        ],
    }
    assert ratios(found) == [
        "requests/s at capacity: 40.0 times",
        "p50 at 50 requests/s, teacher over student: 8.0 times",
        "p99 at 50 requests/s, teacher over student: 15.0 times",
        "CPU per candidate at 50 requests/s, teacher over student: 20.0 times",
    ]
    assert doubts(found) == []


def test_a_ratio_of_what_is_not_valid_is_not_valid(figures: Figures) -> None:
    found = {
        STUDENT: [figures(name=CAPACITY, bottleneck="the generator took 0.95 of its core")],
        TEACHER: [figures(name=CAPACITY)],
    }
    assert ratios(found) == ["requests/s at capacity: 1.0 times (not valid)"]


def test_whatever_spoils_a_figure_is_said(figures: Figures) -> None:
    stages = [
        figures(name=CAPACITY, server_cores=0.5),
        figures(name="25%", bottleneck="the generator took 0.95 of its core", server_cores=1.0),
        figures(name="50%", errors=2, why={"status 503": 2}, server_cores=0.5),
    ]
    assert doubts({STUDENT: stages}) == [
        "student, capacity: the service had 0.50 of its core, others have the rest",
        "student, 25%: the generator took 0.95 of its core; result not valid",
        "student, 50%: 2 of 1000 failed: status 503",
    ]


def test_figures_come_back_from_json_as_they_were(figures: Figures) -> None:
    found = figures_of(orjson.loads(orjson.dumps(figures())))
    assert math.isnan(found.server_cores)
    assert found.p50_ms == 1.0


def test_the_whole_takes_three_to_five_minutes_by_default() -> None:
    assert 180 <= Schedule().planned_s <= 300


def run(bundles: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    both = ("--student-bundle", str(bundles / "student"), "--teacher-bundle", str(bundles / "teacher"))
    command = [sys.executable, "-m", "loadtest.ranking", *both, "--out", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="cores are chosen by affinity")
def test_student_and_teacher_end_in_a_table_a_page_and_a_picture(bundles: Path, tmp_path: Path) -> None:
    short = ("--seconds", "0.6", "--warm-up-s", "0.2", "--shares", "0.5", "--candidates", "4", "--prepared", "50")
    ended = run(bundles, tmp_path, *short)
    valid = "not valid" not in ended.stdout  # a machine that is busy with other things may have no time to ask
    assert ended.returncode == (Verdict.MET if valid else Verdict.NOT_VALID), ended.stdout + ended.stderr
    assert "s left" in ended.stderr
    found = orjson.loads((tmp_path / "figures.json").read_bytes())
    assert [stage["name"] for stage in found[TEACHER]] == [CAPACITY, "50%"]
    assert {stage["name"] for stage in found[STUDENT]} == {CAPACITY, "50%", EQUAL}
    for stage in (*found[STUDENT], *found[TEACHER]):
        assert stage["asked"] > 0
        assert stage["errors"] == 0
        assert stage["cpu_s_per_million"] > 0
        assert f"{stage['p50_ms']:.2f}" in ended.stdout
    assert "requests/s at capacity" in ended.stdout
    assert "CPU per candidate at" in ended.stdout
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report.html").read_text()
    assert "latency.png" in page
    assert f"student: {EQUAL}" in page
    assert (tmp_path / "student" / "rates" / "locust.html").exists()
    assert not list(tmp_path.glob("*.tmp*"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--shares", "0.9,0.5"), "--shares: got '0.9,0.5', expected numbers above 0, ascending"),
        (("--student-bundle", "/nowhere"), "/nowhere"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    options: tuple[str, ...], expected: str, bundles: Path, tmp_path: Path
) -> None:
    ended = run(bundles, tmp_path, *options)
    assert ended.returncode == 1
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1
