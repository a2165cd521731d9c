"""Every wire form over HTTP, answered by the native scorer and by onnxruntime: the bundle's own example, to 1e-5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from service.api.v2.documents import infer_examples
from service.models import example_requests

if TYPE_CHECKING:
    from pathlib import Path

    from service.bundle import Bundle
    from tests.conftest import Client, OpenClient

PLATFORMS = {"native": "native_npz", "onnxruntime": "onnxruntime_onnx"}


@pytest.fixture(params=["native", "onnxruntime"])
def scorer(request: pytest.FixtureRequest) -> str:
    if request.param == "native":
        pytest.importorskip("service.native._dagfm", reason="no compiler: there is no native scorer")
    return str(request.param)


@pytest.fixture
def served(open_client: OpenClient, outer_path: Path, scorer: str) -> Client:
    client = open_client(student_bundle=outer_path, teacher_bundle=None, scorer=scorer)
    assert client.get("/models").json()["arms"]["student"]["scorer"] == scorer
    return client


@pytest.mark.parametrize("form", ["columns", "rows", "ids", "items"])
def test_every_form_of_predict_gets_the_examples_probabilities(served: Client, outer_bundle: Bundle, form: str) -> None:
    answer = served.post("/predict", json=example_requests(outer_bundle)[form])
    assert answer.json()["probabilities"] == pytest.approx(outer_bundle.example["probabilities"], abs=1e-5)


def test_infer_in_json_gets_the_examples_probabilities(served: Client, outer_bundle: Bundle) -> None:
    for request in infer_examples(outer_bundle).values():
        outputs = served.post("/v2/models/student/infer", json=request).json()["outputs"]
        got = {output["name"]: output["data"] for output in outputs}
        assert got["probabilities"] == pytest.approx(outer_bundle.example["probabilities"], abs=1e-5)


def test_infer_in_binary_gets_the_examples_probabilities(served: Client, outer_bundle: Bundle) -> None:
    encoder, example = outer_bundle.encoder, outer_bundle.example
    tensors = {
        "context_ids": encoder.encode_context(example["context"]),
        "candidate_ids": encoder.encode(outer_bundle.schema.candidate, example["candidates"]),
    }
    inputs = [
        {"name": name, "datatype": "INT32", "shape": ids.shape, "parameters": {"binary_data_size": ids.nbytes}}
        for name, ids in tensors.items()
    ]
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    header = orjson.dumps({"inputs": inputs, "outputs": outputs})
    answer = served.post(
        "/v2/models/student/infer",
        content=b"".join((header, *(ids.tobytes() for ids in tensors.values()))),
        headers={"Inference-Header-Content-Length": str(len(header))},
    )
    length = int(answer.headers["inference-header-content-length"])
    assert np.frombuffer(answer.content[length:], "<f4") == pytest.approx(example["probabilities"], abs=1e-5)


def test_an_id_outside_its_table_is_refused_whichever_scorer_answers(served: Client, outer_bundle: Bundle) -> None:
    """The scorers differ in what they would do with one, so none may reach them."""
    request: dict[str, Any] = example_requests(outer_bundle)["ids"]
    for bad in (-1, outer_bundle.encoder.sizes[-1]):
        columns = {**request["candidate_ids"], "price": [bad] * 4}
        refused = served.post("/predict", json={**request, "candidate_ids": columns})
        assert refused.status_code == 422
        assert (refused.json()["field"], refused.json()["position"]) == ("price", 0)


def test_metadata_names_the_scorer(served: Client, scorer: str) -> None:
    assert served.get("/v2/models/student").json()["platform"] == PLATFORMS[scorer]
