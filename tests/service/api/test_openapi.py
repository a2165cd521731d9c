from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from service.api.schemas import HealthResponse, ModelsResponse, PredictRequest, PredictResponse, ReadyResponse
from service.app import create_app
from service.bundle import Bundle
from service.settings import Settings

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    parsed: dict[str, Any] = client.get("/openapi.json").json()
    return parsed


def test_every_predict_route_documents_its_body_answer_and_problems(document: dict[str, Any]) -> None:
    for path in ("/predict", "/student/predict", "/teacher/predict"):
        operation = document["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]
        assert body["schema"]["$ref"].endswith("/PredictRequest")
        assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith(
            "/PredictResponse"
        )
        for status in ("413", "415", "422", "500", "503"):
            content = operation["responses"][status]["content"]
            assert set(content) == {"application/problem+json"}
            examples = content["application/problem+json"]["examples"].values()
            assert {example["value"]["status"] for example in examples} == {int(status)}


def test_the_examples_are_answered_as_they_stand(document: dict[str, Any], client: Client, bundle: Bundle) -> None:
    """Every form is shown with the student's own example, and works."""
    examples = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert set(examples) == {"columns", "rows", "ids", "items"}
    for example in examples.values():
        PredictRequest.model_validate(example["value"])
        answer = client.post("/predict", json=example["value"])
        assert answer.json()["probabilities"] == pytest.approx(bundle.example["probabilities"], abs=1e-5)


def test_every_body_in_json_has_an_example(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    bodies = [operation["requestBody"]["content"] for operation in operations if "requestBody" in operation]
    assert len(bodies) > 8
    assert [body for body in bodies if not {"example", "examples"} & set(body["application/json"])] == []


def test_a_bundle_without_a_catalogue_has_no_items_example(open_client: OpenClient, bundles: Path) -> None:
    bare = open_client(student_bundle=bundles / "no-catalogue")
    document = bare.get("/openapi.json").json()
    examples = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert set(examples) == {"columns", "rows", "ids"}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = orjson.dumps(document).decode()
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])
    assert "PredictRequest" in names


def test_every_property_is_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field}"


def test_answers_have_the_documented_form(client: Client) -> None:
    """The wire types document raw bytes; here they validate them."""
    body = {"context": {"user": "u3", "hour": 1}, "items": ["i0"]}
    PredictResponse.model_validate(client.post("/predict", json=body).json())
    ModelsResponse.model_validate(client.get("/models").json())
    ReadyResponse.model_validate(client.get("/readyz").json())
    HealthResponse.model_validate(client.get("/healthz").json())


def test_every_route_is_documented(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {
        "/predict",
        "/student/predict",
        "/teacher/predict",
        "/experiment",
        "/experiment/kill",
        "/experiment/report",
        "/student/explain",
        "/models/{arm}/reload",
        "/models/{arm}/rollback",
        "/models/student/example",
        "/models/student/fields/{field}/values",
        "/models/student/items",
        "/",
        "/web/{name}",
        "/healthz",
        "/readyz",
        "/models",
        "/feedback",
        "/metrics",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/{model}",
        "/v2/models/{model}/ready",
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}",
        "/v2/models/{model}/versions/{version}/ready",
        "/v2/models/{model}/versions/{version}/infer",
    }


def test_a_document_asked_for_before_the_start_does_not_stay(bundles: Path) -> None:
    """The examples are known only once the bundle is loaded."""
    app = create_app(Settings(student_bundle=bundles / "student", teacher_bundle=None))

    def examples() -> dict[str, Any]:
        body = app.openapi()["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        return body.get("examples", {})  # type: ignore[no-any-return]

    async def start() -> None:
        async with app.router.lifespan_context(app):
            assert set(examples()) == {"columns", "rows", "ids", "items"}

    assert examples() == {}
    asyncio.run(start())
