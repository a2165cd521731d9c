from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.bundle import Bundle, Ids, read_bundle
from service.scoring import Logits, OnnxScorer

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient

CONTEXT: dict[str, Any] = {"user": "u3", "hour": 13}
BODY: dict[str, Any] = {"context": CONTEXT, "items": ["i0", "i1", "i2", "i3"]}


def test_the_answer_is_the_trained_models_in_each_form(client: Client, bundle: Bundle) -> None:
    """Columns, rows and items give the same probabilities, those of the model computed in plain numpy."""
    example = bundle.example
    names = example["candidates"]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*names.values(), strict=True)]
    forms = [{"candidates": names}, {"candidates": rows}, {"items": example["items"]}]
    answers = [client.post("/predict", json={"context": example["context"], **form}) for form in forms]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    probabilities = [answer.json()["probabilities"] for answer in answers]
    assert probabilities[0] == probabilities[1] == probabilities[2]
    np.testing.assert_allclose(probabilities[0], example["probabilities"], atol=1e-5, rtol=0)


def test_the_answer_names_request_arm_and_model(client: Client) -> None:
    response = client.post("/predict", json={**BODY, "unit": "user-42", "request_id": "r-1"})
    answer = response.json()
    assert len(answer.pop("probabilities")) == 4
    assert answer == {"request_id": "r-1", "arm": "student", "model": "tiny-student@v1", "fallback": False}
    assert response.headers["x-request-id"] == "r-1"
    assert response.headers["content-type"] == "application/json"


def test_a_request_without_an_id_gets_the_one_in_the_header(client: Client) -> None:
    response = client.post("/predict", json=BODY, headers={"x-request-id": "from-header"})
    assert response.json()["request_id"] == response.headers["x-request-id"] == "from-header"


def test_a_forced_arm_answers(client: Client, bundles: Path) -> None:
    student = client.post("/student/predict", json=BODY).json()
    teacher = client.post("/teacher/predict", json=BODY).json()
    assert student["probabilities"] == client.post("/predict", json=BODY).json()["probabilities"]
    assert (student["arm"], teacher["arm"]) == ("student", "teacher")
    assert teacher["model"] == "tiny-teacher@v1"
    np.testing.assert_allclose(
        teacher["probabilities"], read_bundle(bundles / "teacher").example["probabilities"], atol=1e-5, rtol=0
    )
    assert teacher["probabilities"] != student["probabilities"]


def test_a_candidate_alone_has_the_probability_it_has_in_a_batch(client: Client) -> None:
    batch = client.post("/predict", json=BODY).json()["probabilities"]
    alone = [
        client.post("/predict", json={**BODY, "items": [item]}).json()["probabilities"][0] for item in BODY["items"]
    ]
    np.testing.assert_allclose(alone, batch, atol=1e-6, rtol=0)


def test_a_model_without_context_fields_answers(open_client: OpenClient, bundles: Path) -> None:
    flat = open_client(student_bundle=bundles / "no-context")
    expected = read_bundle(bundles / "no-context").example["probabilities"]
    response = flat.post("/predict", json={"items": BODY["items"]})
    np.testing.assert_allclose(response.json()["probabilities"], expected, atol=1e-5, rtol=0)


def test_an_unknown_value_is_answered_and_counted_per_field(client: Client) -> None:
    fields = ("user", "hour", "item", "category", "price")
    before = {field: client.metric("ctr_oov_total", field=field) for field in fields}
    rows = [
        {"item": "new", "category": "books", "price": 1},
        {"item": "newer", "category": "", "price": None},
        {"item": "i1", "category": "new", "price": 3},
    ]
    response = client.post("/predict", json={"context": {"user": "stranger", "hour": 3}, "candidates": rows})
    assert response.status_code == 200
    assert all(0 < probability < 1 for probability in response.json()["probabilities"])
    counted = {field: client.metric("ctr_oov_total", field=field) - before[field] for field in fields}
    assert counted == {"user": 1, "hour": 0, "item": 2, "category": 1, "price": 0}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", None])
def test_another_content_type_is_refused(client: Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = client.post("/predict", content=b"{}", headers=headers)
    assert response.status_code == 415
    assert response.json()["expected"] == "application/json"
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_with_parameters_is_accepted(client: Client, content_type: str) -> None:
    response = client.post("/predict", content=json.dumps(BODY), headers={"content-type": content_type})
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/predict/", "/docs", "/redoc", "/v9/%2e%2e/etc"])
def test_an_unknown_path_is_a_problem(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == response.json()["status"] == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_a_wrong_method_is_a_problem_that_names_the_right_one(client: Client) -> None:
    response = client.get("/predict")
    assert response.status_code == 405
    assert response.headers["allow"] == response.json()["expected"] == "POST"


def test_too_many_candidates_are_413(open_client: OpenClient) -> None:
    small = open_client(max_candidates=4)
    assert small.post("/predict", json=BODY).status_code == 200
    response = small.post("/predict", json={**BODY, "items": ["i0"] * 5})
    assert response.status_code == 413
    assert response.json()["type"].endswith("too-many-candidates")


class NotFiniteForUnknownItems(OnnxScorer):
    """A model whose embedding of unknown items was ruined."""

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        logits_N = super().score(context_ids, candidate_ids).copy()
        if len(candidate_ids) == 3:
            logits_N[candidate_ids[:, 0] == 1] = math.nan
        return logits_N


def test_a_logit_that_is_not_finite_is_a_500_problem_and_counted(open_client: OpenClient) -> None:
    """NaN never leaves: the answer is a problem, the counter of the model goes up, and nothing counts as scored."""
    ruined = open_client({"student": NotFiniteForUnknownItems})
    rows = [{"item": item, "category": "books", "price": 1} for item in ("i0", "new", "i1")]
    response = ruined.post("/predict", json={"context": CONTEXT, "candidates": rows})
    assert response.status_code == 500
    assert response.json()["type"].endswith("not-finite")
    assert response.json()["position"] == 1
    assert b"NaN" not in response.content
    assert ruined.metric("ctr_not_finite_total", model="tiny-student@v1") == 1
    assert ruined.metric("ctr_candidates_total", model="tiny-student@v1") == 0
    assert ruined.post("/predict", json=BODY).status_code == 200


class FailsOnThree(OnnxScorer):
    """A runtime that fails on some batches."""

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        if len(candidate_ids) == 3:
            raise RuntimeError("secret of the runtime")
        return super().score(context_ids, candidate_ids)


def test_a_failure_nobody_expected_is_a_500_problem_that_tells_no_secret(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    failing = open_client({"student": FailsOnThree})
    response = failing.post("/predict", json={**BODY, "items": ["i0"] * 3}, headers={"x-request-id": "find-me"})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"] == "find-me"
    assert "secret" not in response.text
    assert "secret of the runtime" in caplog.text
    labels = {"route": "/predict", "arm": "student", "status_class": "5xx"}
    assert failing.metric("ctr_request_duration_seconds_count", **labels) == 1
    assert failing.metric("ctr_inflight") == 0


def test_health_says_alive(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}


def test_models_describes_both_arms(client: Client, bundle: Bundle) -> None:
    arms = client.get("/models").json()["arms"]
    assert set(arms) == {"student", "teacher"}
    student = arms["student"]
    assert student["model"] == "tiny-student@v1"
    assert student["architecture"] == "fm"
    assert student["fields"][1] == {"name": "hour", "role": "context", "kind": "numeric", "vocabulary": 6}
    assert [field["vocabulary"] for field in student["fields"]] == bundle.encoder.sizes
    assert student["catalogue_items"] == 10
    assert student["flops"] == {"effective": 50.0, "executed": 100.0, "candidates": 200, "once": 0.0}
    assert student["graph"]["timings_us"] == {"split": {"200": 12.5}}
    assert student["scorer"] == "onnxruntime"
    assert student["logit_gap"] <= 1e-5
    assert student["lineage"] == {"recipe": "tests/conftest.py"}
    assert len(student["sha256"]) == 64
