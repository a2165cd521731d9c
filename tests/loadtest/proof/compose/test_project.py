"""What is read from compose's own output, here printed by a program in its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loadtest.proof.compose.project import ComposeError, Container, Project, Usage

SAID = {
    "ps": '{"Name":"x-student-1","Service":"student","State":"running","Health":"healthy","ExitCode":0}\n'
    '{"Name":"x-trainer-1","Service":"trainer","State":"exited","Health":"","ExitCode":2}\n',
    "stats": '[{"Name":"x-student-1","CPUPerc":"1%","MemUsage":"2MiB / 3MiB"},'
    '{"Name":"another","CPUPerc":"","MemUsage":""}]',
    "port": "127.0.0.1:8000\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    script = tmp_path / "compose.py"
    script.write_text(
        f"import sys\nsaid = {SAID!r}\nprint(said[sys.argv[1]] if sys.argv[1] in said else sys.exit('no such thing'))"
    )
    return Project([sys.executable, str(script)])


def test_containers_are_read_one_a_line(project: Project) -> None:
    assert project.containers() == {
        "student": Container(service="student", state="running", health="healthy", exit_code=0),
        "trainer": Container(service="trainer", state="exited", health="", exit_code=2),
    }


def test_usage_is_read_from_a_list_too_and_only_of_the_project(project: Project) -> None:
    assert project.usage() == [Usage(service="student", cpu="1%", memory="2MiB / 3MiB")]


def test_a_published_port_is_a_url(project: Project) -> None:
    assert project.url("student", 8000) == "http://127.0.0.1:8000"


def test_a_command_that_fails_is_one_line_with_its_last_words(project: Project) -> None:
    with pytest.raises(ComposeError, match=r"compose\.py kill teacher` ended with 1: no such thing$"):
        project.run("kill", "teacher")


def test_a_machine_without_compose_is_one_line() -> None:
    with pytest.raises(ComposeError, match="No such file"):
        Project(["no-such-engine"]).run("ps")


def test_the_command_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE", f"{sys.executable} -c 'print(1)'")
    assert Project().run("ps") == "1\n"
