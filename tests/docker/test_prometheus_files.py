from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.programs import PROMETHEUS, promtool

CASES = sorted((PROMETHEUS / "tests").glob("*.yml"))


def rules() -> list[dict[str, Any]]:
    paths = sorted((PROMETHEUS / "rules").glob("*.yml"))
    groups = [group for path in paths for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def test_prometheus_takes_the_configuration_and_finds_its_rules() -> None:
    done = promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert done.returncode == 0, done.stderr
    assert "2 rule files found" in done.stdout


def test_the_rules_are_free_of_lint() -> None:
    paths = [str(path) for path in sorted((PROMETHEUS / "rules").glob("*.yml"))]
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *paths)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_rules_do_what_their_cases_say(path: Path) -> None:
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires, stays_silent = set(), set()
    for path in CASES:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for expected in case.get("alert_rule_test", []):
                (fires if expected["exp_alerts"] else stays_silent).add(expected["alertname"])
    assert fires == stays_silent == set(ALERTS)


def test_every_recording_rule_has_a_case() -> None:
    tested = " ".join(
        expected["expr"]
        for path in CASES
        for case in yaml.safe_load(path.read_text())["tests"]
        for expected in case.get("promql_expr_test", [])
    )
    on_the_way = ("slo:ctr_budget", "requests:rate1m", "ctr_score:share_", "_bucket:rate5m")
    names = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for name in names if name not in tested and not any(part in name for part in on_the_way)} == set()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_urgent_it_is_what_is_wrong_and_where_its_runbook_is(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/operator.md#{name.lower()}"
    assert alert["annotations"]["description"].endswith(".")
