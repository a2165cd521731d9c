from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.bundle import Bundle, Calibration, read_bundle

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient

BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]}


def test_ready_once_both_bundles_were_proved(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "degraded": False,
        "arms": {"student": "tiny-student@v1", "teacher": "tiny-teacher@v1"},
        "reasons": {},
    }


def test_a_missing_student_leaves_the_process_alive_and_unready_with_the_reason(
    open_client: OpenClient, tmp_path: Path
) -> None:
    lost = open_client(student_bundle=tmp_path / "nowhere")
    assert lost.get("/healthz").status_code == 200
    for response in (lost.get("/readyz"), lost.post("/predict", json=BODY), lost.post("/student/predict", json=BODY)):
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"].endswith("not-ready")
        assert "nowhere: neither CURRENT nor manifest.json found" in response.json()["detail"]
        assert "CTR_STUDENT_BUNDLE" in response.json()["detail"]
    assert lost.metric("ctr_model_loads_total", result="refused", reason="read") == 1
    assert lost.get("/openapi.json").status_code == 200
    assert set(lost.get("/models").json()["arms"]) == {"teacher"}


def test_the_teacher_answers_though_the_student_does_not(open_client: OpenClient, tmp_path: Path) -> None:
    assert open_client(student_bundle=tmp_path).post("/teacher/predict", json=BODY).status_code == 200


def test_golden_logits_that_are_not_met_keep_the_service_unready(
    open_client: OpenClient, broken: Callable[..., Path], bundle: Bundle
) -> None:
    requests = bundle.golden.requests
    shifted = dataclasses.replace(requests[0], logits=requests[0].logits + 0.001)
    golden = dataclasses.replace(bundle.golden, requests=(shifted, *requests[1:]))
    response = (wrong := open_client(student_bundle=broken(golden=golden))).get("/readyz")
    assert response.status_code == 503
    assert "off by up to 0.001 " in response.json()["detail"]
    assert wrong.metric("ctr_model_loads_total", result="refused", reason="golden") == 1


@pytest.mark.parametrize("form", ["candidates", "items", "probabilities", "context"])
def test_an_example_that_is_not_answered_as_it_states_keeps_the_service_unready(
    open_client: OpenClient, broken: Callable[..., Path], bundle: Bundle, form: str
) -> None:
    """A wrong item, value or probability in example.json means that encoder, catalogue or calibration is wrong."""
    example = dict(bundle.example)
    example[form] = {
        "candidates": {**example["candidates"], "price": [1.0, 90.0, 1.0, 2.0]},
        "items": ["i9", *example["items"][1:]],
        "probabilities": [example["probabilities"][0] + 2e-5, *example["probabilities"][1:]],
        "context": {**example["context"], "usr": "u1"},
    }[form]
    wrong = open_client(student_bundle=broken(example=example))
    response = wrong.get("/readyz")
    assert response.status_code == 503
    assert "example.json: as " in response.json()["detail"]
    assert wrong.metric("ctr_model_loads_total", result="refused", reason="example") == 1


def test_a_calibration_that_the_example_was_not_made_with_keeps_the_service_unready(
    open_client: OpenClient, broken: Callable[..., Path], bundle: Bundle
) -> None:
    manifest = dataclasses.replace(bundle.manifest, calibration=Calibration())
    response = open_client(student_bundle=broken(manifest=manifest)).get("/readyz")
    assert response.status_code == 503
    assert "got probabilities" in response.json()["detail"]


def test_a_graph_that_cannot_be_run_keeps_the_service_unready(
    open_client: OpenClient, broken: Callable[..., Path]
) -> None:
    wrong = open_client(student_bundle=broken(model_onnx=b"no graph"))
    assert "model.onnx: onnxruntime refuses it" in wrong.get("/readyz").json()["detail"]
    assert wrong.metric("ctr_model_loads_total", result="refused", reason="graph") == 1


def test_an_example_of_another_shape_keeps_the_service_unready_without_breaking_it(
    open_client: OpenClient, broken: Callable[..., Path]
) -> None:
    """Whatever a bundle breaks, the process lives and says so."""
    response = open_client(student_bundle=broken(example={"context": 1})).get("/readyz")
    assert response.status_code == 503
    assert "\n" not in response.json()["detail"]


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "vocabulary.json", "schema.json", "example.json"])
def test_a_damaged_file_is_named(open_client: OpenClient, broken: Callable[..., Path], name: str) -> None:
    root = broken()
    path = root / "v1" / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    response = open_client(student_bundle=root).get("/readyz")
    assert response.status_code == 503
    assert name in response.json()["detail"]
    assert "sha256" in response.json()["detail"]


def test_a_teacher_that_the_settings_name_and_that_is_not_there_degrades(
    open_client: OpenClient, tmp_path: Path
) -> None:
    alone = open_client(teacher_bundle=tmp_path / "none")
    ready = alone.get("/readyz").json()
    assert ready["degraded"] is True
    assert str(tmp_path / "none") in ready["reasons"]["teacher"]
    response = alone.post("/teacher/predict", json=BODY)
    assert response.status_code == 503
    assert response.json()["type"].endswith("no-teacher")
    assert "CTR_TEACHER_BUNDLE" in response.json()["detail"]
    assert set(alone.get("/models").json()["arms"]) == {"student"}
    assert alone.post("/predict", json=BODY).status_code == 200


def test_no_teacher_wanted_is_no_fault(open_client: OpenClient) -> None:
    assert open_client(teacher_bundle=None).get("/readyz").json()["degraded"] is False


def test_a_bad_teacher_degrades_and_the_student_still_answers(
    open_client: OpenClient, broken: Callable[..., Path]
) -> None:
    half = open_client(teacher_bundle=broken(model_onnx=b"no graph"))
    ready = half.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["degraded"] is True
    assert "onnxruntime refuses it" in ready.json()["reasons"]["teacher"]
    assert half.post("/predict", json=BODY).status_code == 200
    response = half.post("/teacher/predict", json=BODY)
    assert response.status_code == 503
    assert "onnxruntime refuses it" in response.json()["detail"]


def test_apps_share_no_metrics(open_client: OpenClient) -> None:
    one, other = open_client(), open_client()
    one.post("/predict", json=BODY)
    assert one.metric("ctr_candidates_total", model="tiny-student@v1") == 2
    assert other.metric("ctr_candidates_total", model="tiny-student@v1") == 0


def test_proving_a_bundle_counts_as_no_traffic(open_client: OpenClient) -> None:
    fresh = open_client()
    assert fresh.metric("ctr_candidates_total", model="tiny-student@v1") == 0
    assert fresh.metric("ctr_score_count", model="tiny-student@v1") == 0


def test_the_example_may_be_longer_than_a_request_may_and_is_then_refused_with_the_reason(
    open_client: OpenClient,
) -> None:
    response = open_client(max_candidates=3).get("/readyz")
    assert response.status_code == 503
    assert "candidates has 4, expected 1 to 3" in response.json()["detail"]


def test_the_example_in_the_bundle_is_the_one_the_service_answers(client: Client, bundles: Path) -> None:
    example = read_bundle(bundles / "student").example
    answer = client.post("/predict", json={"context": example["context"], "candidates": example["candidates"]}).json()
    assert answer["probabilities"] == pytest.approx(example["probabilities"], abs=1e-5)


@pytest.mark.parametrize("executed", ["-1.0", "1e999"])
def test_flops_that_no_counter_takes_keep_the_service_unready(
    open_client: OpenClient, broken: Callable[..., Path], executed: str
) -> None:
    """Found at the load, not at the first request: counting them there would be a 500."""
    path = broken() / "v1" / "manifest.json"
    manifest = path.read_text()
    path.write_text(re.sub(r'"executed": [\d.]+', f'"executed": {executed}', manifest))
    assert path.read_text() != manifest
    response = open_client(student_bundle=path.parents[1]).get("/readyz")
    assert response.status_code == 503
    assert "manifest.json" in response.json()["detail"]
