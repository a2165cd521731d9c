"""The scrape and the metric that pods are scaled by: selected, named and computed as meant, by a real promtool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Object = dict[str, Any]
ROOT = Path(__file__).parents[3] / "docker" / "kubernetes"
MINUTE = 4
"""Scrapes in a minute, every 15 s."""


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus' own tool; without it the tests are skipped unless REQUIRE_PROMETHEUS is 1."""
    found = shutil.which("promtool")
    if found is None:
        reason = "no promtool on the PATH; install Prometheus to test rules, REQUIRE_PROMETHEUS=1 makes this a failure"
        if os.environ.get("REQUIRE_PROMETHEUS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def test_every_pod_is_scraped_once_and_its_job_is_the_overlay(
    render: Callable[[Path], list[Object]], all_rendered: dict[str, list[Object]]
) -> None:
    [monitor] = render(ROOT / "monitoring")
    spec = monitor["spec"]
    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "ServiceMonitor")
    [endpoint] = spec["endpoints"]
    assert endpoint["path"] == "/metrics"
    for name, objects in all_rendered.items():
        services = [o for o in objects if o["kind"] == "Service"]
        chosen = [o for o in services if spec["selector"]["matchLabels"].items() <= o["metadata"]["labels"].items()]
        scraped = [port for o in chosen for port in o["spec"]["ports"] if port["name"] == endpoint["port"]]
        assert [port["port"] for port in scraped] == [8000]
        assert {o["metadata"]["labels"][spec["jobLabel"]] for o in chosen} == {name}


def test_prometheus_without_an_operator_finds_the_same_port(overlay: list[Object], one: Callable[..., Any]) -> None:
    template = one(overlay, "Deployment")["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    [container] = template["spec"]["containers"]
    [port] = [port["containerPort"] for port in container["ports"] if port["name"] == "http"]
    assert annotations == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port),
        "prometheus.io/path": "/metrics",
    }


def query() -> str:
    """What the adapter asks Prometheus for about two pods of one namespace."""
    [rule] = yaml.safe_load((ROOT / "monitoring" / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    series = re.match(r"\w+", rule["seriesQuery"])
    assert series is not None
    filled = {"Series": series[0], "LabelMatchers": 'namespace="ctr",pod=~"a|b"', "GroupBy": "pod"}
    return re.sub(r"<<\.(\w+)>>", lambda match: filled[match[1]], rule["metricsQuery"])


def test_the_metric_is_the_seconds_that_a_pods_own_model_works_per_second(promtool: str, tmp_path: Path) -> None:
    """Pod a spends 12 s of each 15 on its student in two routes, b 3 s; what the teacher's pods take is not theirs."""
    series = 'ctr_request_duration_seconds_sum{namespace="ctr",pod="%s",arm="%s",route="%s"}'
    given = {
        series % ("a", "student", "/predict"): 9,
        series % ("a", "student", "/student/predict"): 3,
        series % ("a", "teacher", "/predict"): 70,
        series % ("b", "student", "/predict"): 3,
        series % ("c", "student", "/predict"): 99,
    }
    rules = {"groups": [{"name": "g", "rules": [{"record": "ctr_inflight_mean", "expr": query()}]}]}
    expected = [{"labels": f'{{pod="{pod}"}}', "value": mean} for pod, mean in (("a", 0.8), ("b", 0.2))]
    case = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": s, "values": f"0+{step}x{2 * MINUTE}"} for s, step in given.items()],
                "promql_expr_test": [
                    {"expr": "round(ctr_inflight_mean, 0.000001)", "eval_time": "2m", "exp_samples": expected}
                ],
            }
        ],
    }
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    (tmp_path / "test.yml").write_text(yaml.safe_dump(case))
    done = subprocess.run(
        [promtool, "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
