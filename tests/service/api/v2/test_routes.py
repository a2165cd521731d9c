"""Health, metadata, and how models and versions are found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service.api.v2 import schemas

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Client, OpenClient

PREFIXES = ["/v2/models/student", "/v2/models/tiny-student", "/v2/models/student/versions/v1"]


def error(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/json"
    schemas.InferenceError.model_validate(response.json())
    found: str = response.json()["error"]
    return found


def test_health_is_200_once_the_student_answers(client: Client) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"live": True, "ready": True}


def test_the_server_says_what_it_is(client: Client) -> None:
    found = client.get("/v2").json()
    assert found == {"name": "kd-dagfm-serving", "version": "0.1.0", "extensions": ["binary_tensor_data"]}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_model_says_what_it_takes_and_gives(client: Client, prefix: str) -> None:
    assert client.get(prefix).json() == {
        "name": "tiny-student",
        "versions": ["v1"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "context_ids", "datatype": "INT32", "shape": [1, 2]},
            {"name": "candidate_ids", "datatype": "INT32", "shape": [-1, 3]},
        ],
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1]},
        ],
    }
    assert client.get(f"{prefix}/ready").json() == {"name": "tiny-student", "ready": True}


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("nobody", "'nobody', expected student or teacher or tiny-student or tiny-teacher"),
        ("student@v1", "'student@v1'"),
        ("%2e%2e", "'..'"),
        ("%2e%2e%2fstudent", None),
        ("student%00", "student"),
        ("student/versions/v2", "no version 'v2', expected v1"),
        ("tiny-teacher/versions/..%2fv1", None),
        ("student/versions/", None),
        ("x" * 5000, "xxx"),
    ],
)
def test_an_unknown_model_or_version_is_404(client: Client, model: str, part: str | None) -> None:
    for path, method in (("", "GET"), ("/ready", "GET"), ("/infer", "POST")):
        response = client.request(method, f"/v2/models/{model}{path}", content=b"{}")
        assert response.status_code == 404
        found = error(response)
        assert len(found) < 400
        if part is not None:
            assert part in found


def test_unknown_paths_and_methods_answer_in_the_protocols_form(client: Client) -> None:
    for path in ("/v2/", "/v2/nope", "/v2/models", "/v2/models/student/versions/v1/nope"):
        response = client.get(path)
        assert response.status_code == 404
        assert error(response)
    response = client.get("/v2/models/student/infer")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert error(response)
    assert client.get("/v2x").headers["content-type"] == "application/problem+json"


def test_without_a_student_nothing_is_ready(open_client: OpenClient, tmp_path: Path) -> None:
    """Nor is a name unknown that the student's bundle might have."""
    bare = open_client(student_bundle=tmp_path / "none", teacher_bundle=None)
    assert bare.get("/v2/health/live").status_code == 200
    paths = ("/v2/health/ready", "/v2/models/student", "/v2/models/student/ready", "/v2/models/tiny-student/ready")
    for path in paths:
        response = bare.get(path)
        assert response.status_code == 503
        assert "no student answers" in error(response)
    response = bare.post("/v2/models/student/infer", json={})
    assert response.status_code == 503
    assert "no student answers" in error(response)


def test_a_missing_teacher_is_503_and_the_student_answers(open_client: OpenClient) -> None:
    alone = open_client(teacher_bundle=None)
    assert alone.get("/v2/health/ready").status_code == 200
    response = alone.get("/v2/models/teacher/ready")
    assert response.status_code == 503
    assert "CTR_TEACHER_BUNDLE" in error(response)
    assert alone.get("/v2/models/tiny-teacher/ready").status_code == 404


def test_requests_are_counted_under_the_template(open_client: OpenClient) -> None:
    client = open_client()
    client.get("/v2/models/student")
    client.get("/v2/models/nobody")
    client.post("/v2/models/nobody/versions/9/infer")

    def counted(route: str, status_class: str) -> float:
        return client.metric("ctr_request_duration_seconds_count", route=route, arm="none", status_class=status_class)

    assert counted("/v2/models/{model}", "2xx") == counted("/v2/models/{model}", "4xx") == 1
    assert counted("/v2/models/{model}/versions/{version}/infer", "4xx") == 1
    assert "nobody" not in client.get("/metrics").text


def test_answers_have_the_documented_form(client: Client, wire: Any, example: Any) -> None:
    schemas.ServerLive.model_validate(client.get("/v2/health/live").json())
    schemas.ServerReady.model_validate(client.get("/v2/health/ready").json())
    schemas.ServerMetadata.model_validate(client.get("/v2").json())
    schemas.ModelMetadata.model_validate(client.get("/v2/models/student").json())
    schemas.ModelReady.model_validate(client.get("/v2/models/student/ready").json())
    request = {"id": "1", "inputs": [wire.tensor(*pair) for pair in example.tensors.items()]}
    schemas.InferenceRequest.model_validate(request)
    schemas.InferenceResponse.model_validate(client.post("/v2/models/student/infer", json=request).json())


def test_the_examples_of_the_documentation_are_answered(client: Client) -> None:
    document = client.get("/openapi.json").json()
    expected = client.app.service_state.arms["student"].model.bundle.example["probabilities"]
    for path in ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"):
        operation = document["paths"][path]["post"]
        assert set(operation["responses"]) >= {"200", "400", "404", "413", "415", "500", "503", "504"}
        assert set(operation["responses"]["200"]["content"]) == {"application/json", "application/octet-stream"}
        names = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
        assert all(f"{{{name}}}" in path for name in names)
        assert len(names) == path.count("{")
        content = operation["requestBody"]["content"]
        assert set(content) == {"application/json", "application/octet-stream"}
        examples = content["application/json"]["examples"]
        assert set(examples) == {"nested tensors", "flat tensors"}
        for example in examples.values():
            schemas.InferenceRequest.model_validate(example["value"])
            url = path.format(model="student", version="v1")
            outputs = client.post(url, json=example["value"]).json()["outputs"]
            assert outputs[-1]["data"] == pytest.approx(expected, abs=1e-5)
