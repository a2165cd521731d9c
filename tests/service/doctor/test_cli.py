"""The command as people and programs call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.__main__ import cli

TOKEN = "let me in, doctor"  # noqa: S105 - the test's own


def doctor(*options: str, **variables: str) -> Result:
    return CliRunner().invoke(
        cli, ["doctor", *options], env={"CTR_EVENTS": "", "CTR_TEACHER_BUNDLE": None, **variables}
    )


def test_without_a_problem_it_ends_with_0_and_never_shows_a_token(bundles: Path) -> None:
    ended = doctor("--port", "0", CTR_STUDENT_BUNDLE=str(bundles / "student"), CTR_ADMIN_TOKEN=TOKEN)
    assert ended.exit_code == 0, ended.output
    assert "tiny-student@v1 read and proved" in " ".join(ended.output.split())
    assert ended.output.splitlines()[-1].endswith(" ok")
    assert "0 problem" in ended.output
    assert TOKEN not in ended.output


def test_a_problem_ends_it_with_1_and_is_in_the_json(bundles: Path, tmp_path: Path) -> None:
    ended = doctor("--json", "--port", "0", "--student-bundle", str(tmp_path), CTR_ADMIN_TOKEN=TOKEN)
    said = json.loads(ended.output)
    assert ended.exit_code == 1
    assert said["status"] == "problem"
    [problem] = [each for group in said["groups"].values() for each in group if each["status"] == "problem"]
    assert problem["check"] == "bundle of student"
    assert set(problem) == {"check", "status", "found", "expected", "todo"}
    assert TOKEN not in ended.output


@pytest.mark.parametrize("variable", ["CTR_PROT", "CTR_PORT"])
def test_wrong_settings_are_a_problem_and_the_machine_is_looked_at_all_the_same(variable: str) -> None:
    ended = doctor("--json", **{variable: "x"})
    said = json.loads(ended.output)
    assert ended.exit_code == 1
    assert said["groups"]["settings"][0]["found"].startswith(f"{variable}: ")
    assert {"machine", "clock", "software"} <= set(said["groups"])
    assert "bundles" not in said["groups"]
