from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.api.explain import MAX_EXPLAINED, ExplainResponse
from service.bundle import Bundle
from service.settings import Settings

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient

BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1", "i4"]}


@pytest.fixture(scope="module")
def dagfm(client_of: Callable[[Settings], Client], outer_path: Path) -> Iterator[Client]:
    """An app whose student is a DAGFM-outer with weights."""
    return client_of(Settings(student_bundle=outer_path.parent, teacher_bundle=None))


def test_terms_add_up_to_the_logits_and_probabilities_are_those_of_predict(dagfm: Client) -> None:
    explained = dagfm.post("/student/explain", json=BODY).json()
    ExplainResponse.model_validate(explained)
    sums_N = explained["bias"] + np.array(explained["terms"]).sum(axis=(1, 2))
    np.testing.assert_allclose(sums_N, explained["logits"], atol=1e-5, rtol=0)
    assert explained["probabilities"] == dagfm.post("/predict", json=BODY).json()["probabilities"]
    slope, intercept = explained["calibration"]["slope"], explained["calibration"]["intercept"]
    calibrated_N = 1 / (1 + np.exp(-(slope * sums_N + intercept)))
    np.testing.assert_allclose(calibrated_N, explained["probabilities"], atol=1e-5, rtol=0)


def test_axes_are_named_and_ordered_as_the_terms(dagfm: Client, outer_bundle: Bundle) -> None:
    explained = dagfm.post("/student/explain", json={**BODY, "request_id": "why-7"}).json()
    assert explained["fields"] == [field.name for field in outer_bundle.schema.fields]
    assert explained["orders"] == [1, 2, 3]
    assert np.array(explained["terms"]).shape == (3, 3, 5)
    assert explained["request_id"] == "why-7"
    assert explained["model"] == outer_bundle.manifest.model


def test_explaining_is_no_prediction_that_counts(dagfm: Client, outer_bundle: Bundle) -> None:
    before = dagfm.metric("ctr_candidates_total", model=outer_bundle.manifest.model)
    dagfm.post("/student/explain", json=BODY)
    assert dagfm.metric("ctr_candidates_total", model=outer_bundle.manifest.model) == before


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({**BODY, "items": ["i0"] * (MAX_EXPLAINED + 1)}, 413, "too-many-candidates"),
        ({**BODY, "items": []}, 422, "no-candidates"),
        ({**BODY, "items": ["nothing"]}, 422, "unknown-item"),
        ({"items": ["i0"]}, 422, "missing-field"),
        ([1], 422, "malformed-request"),
    ],
)
def test_what_cannot_be_explained_is_a_problem(dagfm: Client, body: Any, status: int, problem: str) -> None:
    response = dagfm.post("/student/explain", json=body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].endswith(f":{problem}")


def test_the_most_candidates_are_explained(dagfm: Client) -> None:
    response = dagfm.post("/student/explain", json={**BODY, "items": ["i0"] * MAX_EXPLAINED})
    assert len(response.json()["terms"]) == MAX_EXPLAINED


def test_a_body_not_declared_as_json_is_refused(dagfm: Client) -> None:
    assert dagfm.post("/student/explain", content=b"{}").status_code == 415


def test_a_model_without_weights_says_that_it_has_no_terms(client: Client) -> None:
    response = client.post("/student/explain", json=BODY)
    assert response.status_code == 409
    assert response.json()["type"].endswith(":no-explanation")
    assert "fm" in response.json()["detail"]


def test_without_a_student_nothing_is_explained(open_client: OpenClient, tmp_path: Path) -> None:
    response = open_client(student_bundle=tmp_path / "nowhere").post("/student/explain", json=BODY)
    assert response.status_code == 503
    assert response.json()["type"].endswith(":not-ready")
