from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.doctor import bundles as checks
from service.doctor.finding import Status

if TYPE_CHECKING:
    from tests.service.doctor.conftest import Examined


def test_good_bundles_are_loaded_and_proved(examined: Examined, bundles: Path) -> None:
    arms = {"v2": str(bundles / "no-catalogue"), "far": "http://far:8000/predict"}
    found = examined(checks.bundles, teacher_bundle=bundles / "teacher", arms=arms)
    assert {finding.status for finding in found.values()} == {Status.OK}
    assert {"bundle of student", "bundle of teacher", "bundle of v2"} <= set(found)
    assert "bundle of far" not in found
    assert found["bundle of student"].found.startswith("tiny-student@v1 read and proved in ")


def test_a_damaged_bundle_is_a_problem_that_names_the_file(examined: Examined, broken: Callable[..., Path]) -> None:
    path = broken()
    graph = path / "v1" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    finding = examined(checks.bundles, student_bundle=path)["bundle of student"]
    assert finding.status is Status.PROBLEM
    assert "step read" in finding.found
    assert "model.onnx" in finding.found


def test_a_teacher_that_is_named_and_not_there_is_a_problem(
    examined: Examined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert examined(checks.bundles, teacher_bundle=tmp_path / "none")["bundle of teacher"].status is Status.PROBLEM
    assert examined(checks.bundles)["teacher"].status is Status.OK
    monkeypatch.setattr(checks, "SLOW_S", 0.0)
    assert examined(checks.bundles)["bundle of student"].status is Status.WARNING


def test_a_scorer_that_is_not_the_native_one_says_why(
    examined: Examined, outer_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("service.native._dagfm")
    assert examined(checks.bundles, student_bundle=outer_path.parent)["scorer of student"].found.startswith("native: ")
    monkeypatch.setitem(sys.modules, "service.native._dagfm", None)
    finding = examined(checks.bundles, student_bundle=outer_path.parent)["scorer of student"]
    assert finding.status is Status.WARNING
    assert finding.found.startswith("onnxruntime: ")
