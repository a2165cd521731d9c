"""Every expression of every board and rule, asked of a real Prometheus that scrapes real processes under traffic."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.docker.demo import Demo, demo
from tests.docker.programs import GRAFANA, PROMETHEUS, promtool, until

BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RULES = [
    rule
    for path in sorted((PROMETHEUS / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")


@pytest.fixture(scope="module")
def running_demo(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Asked before the first scrape and after it, so that every counter is seen to rise."""
    with demo(bundles, tmp_path_factory.mktemp("demo")) as found:
        found.ask(60, seed=1)
        until(lambda: len(found.query("up == 1")) == 4, "four targets")
        for seed in range(2, 5):
            found.ask(40, seed=seed)
        yield found


def variables(board: dict[str, Any], found: Demo) -> dict[str, str]:
    """Variable → what it stands for when a board is opened: all of it, or the first there is."""
    values = {"__rate_interval": "30s"}
    for variable in board["templating"]["list"]:
        if variable["type"] == "textbox":
            values[variable["name"]] = variable["query"]
            continue
        match = LABEL_VALUES.fullmatch(variable["query"]["query"])
        assert match, variable
        metric, label = match.groups()
        choices = found.label_values(expanded(metric, values), label)
        assert choices, f"{board['uid']}: ${variable['name']} has no values"
        values[variable["name"]] = variable["allValue"] if variable["includeAll"] else choices[0]
    return values


def expanded(expr: str, values: dict[str, str]) -> str:
    for name in sorted(values, key=len, reverse=True):
        expr = expr.replace(f"${name}", values[name])
    return expr


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield from panel.get("panels", [])
        if panel["type"] != "row":
            yield panel


def has_data(found: Demo, expr: str) -> bool:
    """Whether there is at least one number; NaN is none."""
    return any(not math.isnan(float(sample["value"][1])) for sample in found.query(expr))


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_panel_has_data(running_demo: Demo, path: Path) -> None:
    board = orjson.loads(path.read_bytes())
    values = variables(board, running_demo)
    wanting = {
        f"{panel['title']}: {expanded(target['expr'], values)}": expanded(target["expr"], values)
        for panel in panels(board)
        for target in panel["targets"]
    }
    assert len(wanting) >= 10

    def nothing_is_wanting() -> bool:
        for title, expr in list(wanting.items()):
            if has_data(running_demo, expr):
                del wanting[title]
        return not wanting

    try:
        until(nothing_is_wanting, "data of every panel")
    except AssertionError:
        pytest.fail("no data: " + "\n".join(wanting))


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_what_marks_a_boards_time_can_be_asked(running_demo: Demo, path: Path) -> None:
    marks = orjson.loads(path.read_bytes())["annotations"]["list"]
    assert [mark["name"] for mark in marks] == ["Revisions of the experiments", "Alerts"]
    for mark in marks:
        running_demo.query(mark["expr"])  # nothing may have happened; an error is an error


def test_every_rule_is_evaluated_without_an_error(running_demo: Demo) -> None:
    def evaluated() -> list[dict[str, Any]]:
        groups = running_demo.client.get(f"{running_demo.prometheus}/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["health"] != "unknown"]

    until(lambda: len(evaluated()) == len(RULES), "an evaluation of every rule")
    assert {rule["name"]: rule.get("lastError") for rule in evaluated() if rule["health"] != "ok"} == {}


def test_every_recording_rule_has_data(running_demo: Demo) -> None:
    names = {rule["record"] for rule in RULES if "record" in rule}
    until(lambda: all(has_data(running_demo, name) for name in names), "data of every recording rule")


def test_a_healthy_demo_calls_nobody(running_demo: Demo) -> None:
    until(lambda: has_data(running_demo, "job_slo:ctr_burn:ratio_5m"), "a burn rate")
    pages = running_demo.query('ALERTS{severity="page", alertstate="firing", alertname!~"Latency.*"}')
    assert [sample["metric"]["alertname"] for sample in pages] == []


def test_what_is_scraped_is_free_of_lint(running_demo: Demo) -> None:
    for url in (running_demo.student, running_demo.teacher, running_demo.watch):
        done = promtool("check", "metrics", stdin=running_demo.client.get(f"{url}/metrics").text)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), url


def test_processor_time_of_several_workers_is_counted(running_demo: Demo) -> None:
    """The student has two workers and a shadow for each; none of it is in process_*, which says nothing there."""
    by_process = {
        sample["metric"]["process"]: float(sample["value"][1])
        for sample in running_demo.query('ctr_cpu_seconds_total{job="student"}')
    }
    assert by_process["worker"] > 1.0
    assert by_process["shadow"] > 0.0
    assert running_demo.query('process_cpu_seconds_total{job="student"}') == []
