"""Tables, JSON and pictures of a result that has everything, and of one that lacks much."""

from __future__ import annotations

import json
import re
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from export.bench_shapes import SHAPES
from loadtest.bench.measure import Outcome, Steady
from loadtest.bench.plots import draw
from loadtest.bench.points import CANDIDATES, Point, centre_plan, full_plan
from loadtest.bench.report import HTTP, as_json, breakdown_us, tables, target_table
from loadtest.bench.summary import ShapeResult, targets
from loadtest.bench.wrk import Load


def result(plan: list[Point], failed: set[str] = frozenset()) -> ShapeResult:  # type: ignore[assignment]
    """A load per point that grows with its place in the plan; forms in `failed` have none."""
    outcomes = []
    for place, point in enumerate(plan, start=1):
        if point.form in failed:
            outcomes.append(Outcome(point=point, repetition=0, failure="not supported: no such key"))
            continue
        load = Load(requests_per_s=987.0 * place, p50_ms=0.123 * place, p99_ms=7.77 * place, requests=1)
        stages = {"decode": 5.0, "queue": 5000.0, "infer": 10.0} if point.server in ("native", "onnxruntime") else {}
        outcomes.append(Outcome(point=point, repetition=0, load=load, request_bytes=2300, stages_us=stages))
    steady = [Steady(server="native", form="item ids", repetition=0, rate=500.0, p50_ms=0.4, p99_ms=0.6)]
    in_process = {size: {"rows graph": 100.0 * size, "native": 5.0 * size} for size in CANDIDATES}
    return ShapeResult(shape=SHAPES[1], outcomes=outcomes, steady=steady, in_process_us=in_process, level="avx2")


def printed(found: ShapeResult) -> str:
    console = Console(width=100, record=True)
    for table in (*tables(found), target_table(targets(found))):
        console.print(table)
    return console.export_text()


def test_every_server_form_and_figure_is_printed_and_nothing_is_cut_off() -> None:
    text = printed(result(full_plan()))
    assert "…" not in text
    assert "13,818 (1.2)" in text
    assert re.search(r"native +columns of ids ", text)
    for word in ("columns of ids", "v2 binary", "tutorial", "empty", "N = 1000", HTTP, "20.0", "avx2"):
        assert word in text


def test_a_form_that_is_not_supported_is_said_to_be() -> None:
    text = printed(result(centre_plan(), failed={"columns of ids"}))
    assert text.count("not supported: no such key") == 2
    assert "not measured" in text


def test_what_the_stages_leave_is_http_and_the_rest_and_waiting_is_no_work() -> None:
    found = result(centre_plan())
    figure = next(figure for figure in found.figures.values() if figure.stages_us)
    parts = breakdown_us(figure)
    assert sum(parts.values()) == pytest.approx(1e6 / figure.requests_per_s)
    assert list(parts) == ["decode", "infer", HTTP]


def test_the_json_has_every_point_and_verdict() -> None:
    found = result(full_plan(), failed={"rows"})
    written = json.loads(orjson.dumps(as_json([found], targets(found), {"seconds": 1})))
    shape = written["shapes"]["reference"]
    assert len(shape["figures"]) + len(shape["failures"]) == len(full_plan())
    assert {target["verdict"] for target in written["targets"]} <= {"met", "missed", "not measured"}
    assert shape["in_process_us"]["200"]["native"] == 1000.0


def test_pictures_are_drawn_and_leave_nothing_half_written(tmp_path: Path) -> None:
    found = result(full_plan())
    paths = draw([result(centre_plan(), failed={"rows"}), found], tmp_path)
    assert sorted(path.name for path in paths) == ["latency.png", "stages.png", "throughput.png"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_there_is_no_latency_picture_without_its_points(tmp_path: Path) -> None:
    paths = draw([result(centre_plan())], tmp_path)
    assert [path.name for path in paths] == ["throughput.png", "stages.png"]
