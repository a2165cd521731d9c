"""The two commands, as a shell runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from service.events import open_store
from service.experiment.cli import UNKNOWN
from tests.service.events.builders import ATTRIBUTION_MS, NOW_MS
from tests.service.experiment.report.stores import HOUR_MS, World, document, fill

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with one phase."""
    url = f"sqlite:{tmp_path_factory.mktemp('cli')}/events.sqlite3"
    store = open_store(url, ATTRIBUTION_MS)
    fill(store, document(), World(units=300))
    store.close()
    return url


def run(*arguments: str, module: str = "service", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_json_goes_to_standard_output(events: str) -> None:
    done = run("report", "--json", CTR_EVENTS=events)
    assert (done.returncode, done.stderr) == (0, "")
    assert orjson.loads(done.stdout)["provenance"]["units"] == 300


def test_a_file_appears_whole_and_nothing_else_does(events: str, tmp_path: Path) -> None:
    done = run("report", "--html", "--events", events, "--out", str(tmp_path / "report.html"))
    assert (done.returncode, done.stdout) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_text_is_the_default_and_the_light_module_says_the_same(events: str) -> None:
    full, light = (
        run("report", "--events", events, module=module).stdout for module in ("service", "service.experiment")
    )
    assert "rank, phase 1" in full
    assert full.rpartition("made ")[0] == light.rpartition("made ")[0]


def test_until_takes_a_time_and_milliseconds(events: str) -> None:
    until_ms = NOW_MS + 100 * HOUR_MS
    by_number = orjson.loads(run("report", "--json", "--events", events, "--until", str(until_ms)).stdout)
    by_time = orjson.loads(run("report", "--json", "--events", events, "--until", "2025-10-13T12:53:20").stdout)
    assert 80 < by_number["provenance"]["units"] < 220
    assert by_time["provenance"] == by_number["provenance"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["report", "--experiment", "nothing"], UNKNOWN, "expected one of: rank phase 1"),
        (["report", "--phase", "9"], UNKNOWN, "rank phase 9"),
        (["report", "--json", "--html"], 1, "--json and --html"),
        (["report", "--until", "soon"], 1, "'soon'"),
        (["report", "--events", "sqlite:/nowhere/at/all"], 1, "does not exist"),
        (["report", "--events", "mysql://x"], 1, "sqlite:PATH or postgresql"),
        (["report", "--out", "/nowhere/report.json"], 1, "cannot be written"),
        (["plan", "--lift", "0"], 1, "lift: got 0"),
        (["plan", "--power", "2"], 1, "power 2"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(events: str, arguments: list[str], status: int, words: str) -> None:
    done = run(*arguments, module="service.experiment", CTR_EVENTS=events)
    assert done.returncode == status
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_a_mistyped_path_makes_no_empty_store(tmp_path: Path) -> None:
    run("report", "--events", f"sqlite:{tmp_path}/typo.sqlite3", module="service.experiment")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_units_and_days(events: str) -> None:
    done = run("plan", "--lift", "0.05", "--events", events, module="service.experiment")
    assert done.returncode == 0
    assert "units in each of 2 arms" in done.stdout
    decoded = orjson.loads(
        run("plan", "--json", "--lift", "0.05", "--events", events, module="service.experiment").stdout
    )
    assert decoded["planned_units"] == 2 * decoded["asked"]["units_per_arm"]
    assert decoded["units"] == 300
    assert decoded["asked"]["days"] % 7 == 0


def test_a_plan_without_clicks_says_what_is_missing(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/events.sqlite3"
    open_store(url, ATTRIBUTION_MS).close()
    done = run("plan", "--events", url, module="service.experiment")
    assert done.returncode == 1
    assert "units with impressions and clicks" in done.stderr
