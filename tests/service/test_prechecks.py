"""What ends a start: one line that says which setting, what was got, what was expected and what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.prechecks import check_start
from service.settings import Settings, SettingsError

MODEL_OF_NOBODY = '[[experiments]]\nname = "a"\narms = [{name = "x", weight = 5000}, {name = "y", weight = 5000}]\n'


def complaint(**given: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        check_start(Settings(**given))
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message  # and what to do
    return message


@pytest.fixture
def good(bundles: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings under which the service starts."""
    given = {"student_bundle": bundles / "student", "events": f"sqlite:{tmp_path / 'e.db'}"}
    check_start(Settings(**given))
    return given


def test_a_student_that_is_no_directory(good: dict[str, Any], tmp_path: Path) -> None:
    assert "is no directory, expected" in complaint(**{**good, "student_bundle": tmp_path / "none"})


@pytest.mark.parametrize("url", ["mysql://me:hunter2@h/d", "sqlite:", "events.db"])
def test_a_url_of_no_store(good: dict[str, Any], url: str) -> None:
    message = complaint(**{**good, "events": url})
    assert "expected sqlite:PATH or postgresql://" in message
    assert "hunter2" not in message


def test_a_store_whose_driver_is_missing(good: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    check_start(Settings(**{**good, "events": "postgresql://h/d"}))  # reachable or not, is seen later
    monkeypatch.setattr("service.events.urls.find_spec", lambda _name: None)
    assert "pip install '.[postgres]'" in complaint(**{**good, "events": "postgresql://h/d"})


def test_traces_whose_extra_is_missing(good: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    check_start(Settings(**good, traces="http://h:4318"))
    monkeypatch.delitem(sys.modules, "service.traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    assert "pip install '.[otel]'" in complaint(**good, traces="http://h:4318")


@pytest.mark.parametrize("text", [None, b"x = [", b"\xff", b'[[experiments]]\nname = "a"\n', b"unknown = 1"])
def test_first_experiments_that_cannot_be_read(good: dict[str, Any], tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / "e.toml").write_bytes(text)
    message = complaint(**good, experiment=tmp_path / "e.toml")
    assert message.startswith(f"CTR_EXPERIMENT: {tmp_path / 'e.toml'}")
    assert "expected" in message


def test_a_model_that_is_not_served_is_left_to_readyz(good: dict[str, Any], tmp_path: Path) -> None:
    """The teacher may come back; the student answers meanwhile."""
    (tmp_path / "e.toml").write_text(MODEL_OF_NOBODY)
    check_start(Settings(**good, experiment=tmp_path / "e.toml"))


def test_the_command_ends_with_one_line_and_no_trace(bundles: Path, tmp_path: Path) -> None:
    student = str(bundles / "student")
    ended = serve("--workers", "2", CTR_EXPERIMENT=str(tmp_path / "none.toml"), CTR_STUDENT_BUNDLE=student)
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert line.startswith("error: CTR_EXPERIMENT: ")


def test_with_json_the_line_is_an_object(tmp_path: Path) -> None:
    ended = serve(CTR_STUDENT_BUNDLE=str(tmp_path / "none"), CTR_LOG_FORMAT="json")
    [line] = ended.stderr.splitlines()
    said = json.loads(line)
    assert (ended.returncode, said["level"]) == (1, "error")
    assert said["event"].startswith("student bundle: ")


def serve(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    return subprocess.run(
        [sys.executable, "-m", "service", "serve", "--port", "0", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**inherited, **variables},
    )
