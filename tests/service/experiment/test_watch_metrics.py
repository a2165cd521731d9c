from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from service.events import open_store
from service.events.sql import SqlStore
from service.experiment.report.build import build_report
from service.experiment.report.schema import Report
from service.experiment.watch import watch
from service.experiment.watch_metrics import FAMILIES, SEVERAL, WatchMetrics, serve_metrics
from tests.service.experiment.report.stores import STUDENT, TEACHER, Behaviour, World, document, fill
from tests.service.experiment.test_cli import run

SAME = World(units=600, arms={"teacher": TEACHER, "student": STUDENT})
HARMED = World(units=3000, arms={"teacher": TEACHER, "student": Behaviour(ctr=0.05)})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:{tmp_path}/events.sqlite3", attribution_ms=3_600_000)
    yield opened
    opened.close()


def report_on(store: SqlStore, world: World) -> Report:
    fill(store, document(), world)
    return build_report(store)


def values(metrics: WatchMetrics, name: str) -> dict[tuple[str, ...], float]:
    """Label values but for the experiment → value."""
    [family] = [family for family in metrics.collect() if family.name == name]
    return {tuple(list(sample.labels.values())[1:]): sample.value for sample in family.samples}


def test_every_figure_is_the_reports(store: SqlStore) -> None:
    report = report_on(store, SAME)
    metrics = WatchMetrics()
    metrics.saw(report)
    models = {"teacher": "teacher@v1", "student": "student@v1"}
    rows = {(row.arm, models[row.arm]): row for row in report.quality}
    found = values(metrics, "ctr_calibration_ratio")
    assert found == {key: row.calibration.ratio for key, row in rows.items() if row.calibration}
    assert len(found) == 2
    bounds = values(metrics, "ctr_calibration_bound_ratio")
    assert all(bounds[*key, "low"] < found[key] < bounds[*key, "high"] for key in found)
    assert values(metrics, "ctr_normalized_entropy") == {key: row.normalized_entropy for key, row in rows.items()}
    assert values(metrics, "ctr_auc") == {key: row.auc.value for key, row in rows.items() if row.auc}
    assert values(metrics, "ctr_srm_p_value") == {(): report.srm.sequential_p}
    assert values(metrics, "ctr_experiment_units") == {(row.arm,): row.units for row in report.arms}
    lift = values(metrics, "ctr_lift_ratio")
    assert lift["student", "low"] < lift["student", "estimate"] < lift["student", "high"]
    verdicts = values(metrics, "ctr_experiment_verdict")
    assert {name for (name,), value in verdicts.items() if value} == {report.verdict.verdict}
    assert len(verdicts) == 5


def test_what_is_not_known_has_no_series(store: SqlStore) -> None:
    metrics = WatchMetrics()
    metrics.saw(report_on(store, World(units=40, feedback=False)))
    assert values(metrics, "ctr_calibration_ratio") == {}
    assert values(metrics, "ctr_lift_ratio") == {}
    assert sum(values(metrics, "ctr_experiment_units").values()) == 40


def test_an_arm_that_two_versions_answered_names_neither(store: SqlStore) -> None:
    report = report_on(store, SAME)
    [first, second] = report.arms
    metrics = WatchMetrics()
    metrics.saw(replace(report, arms=(replace(first, models=("a@1", "a@2")), second)))
    assert {labels[1] for labels in values(metrics, "ctr_auc")} == {SEVERAL, "student@v1"}


def test_the_watch_tells_of_looks_and_stops_and_forgets_what_was_stopped(store: SqlStore) -> None:
    fill(store, document(), HARMED)
    metrics = WatchMetrics()
    looks = watch(store, 0.01, metrics)
    next(looks)
    assert metrics.registry.get_sample_value("ctr_watch_stops_total") == 1
    assert values(metrics, "ctr_srm_p_value")
    fill(store, document(name="other"), SAME)
    next(looks)
    [family] = [family for family in metrics.collect() if family.name == "ctr_srm_p_value"]
    assert {sample.labels["experiment"] for sample in family.samples} == {"rank", "other"}
    next(looks)
    assert metrics.registry.get_sample_value("ctr_watch_looks_total") == 2
    [family] = [family for family in metrics.collect() if family.name == "ctr_srm_p_value"]
    assert {sample.labels["experiment"] for sample in family.samples} == {"other"}


def test_what_is_seen_can_be_scraped(store: SqlStore) -> None:
    metrics, url = serve_metrics("127.0.0.1", 0)
    metrics.saw(report_on(store, SAME))
    scraped = httpx.get(url).text
    for name in FAMILIES:
        assert f"\n{name}{{" in scraped


def test_a_port_in_use_is_named_on_one_line(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/events.sqlite3"
    open_store(url, attribution_ms=1).close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("watch", "--events", url, "--metrics-port", port, module="service.experiment")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"--metrics-port: cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
