"""What /infer answers: the student's own logits and probabilities, whatever form the ids come in."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.bundle import Bundle, read_bundle

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Client, OpenClient

Infer = Callable[..., "httpx.Response"]
BOTH = {"binary_data_output": True}


@pytest.mark.parametrize(("flat", "datatype"), [*product((False, True), ("INT32", "INT64"))])
def test_json_tensors_get_what_the_raw_request_gets(
    client: Client, infer: Infer, wire: Any, example: Any, *, flat: bool, datatype: str
) -> None:
    response = infer([wire.tensor(name, ids, datatype, flat=flat) for name, ids in example.tensors.items()])
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert [output["name"] for output in answer["outputs"]] == ["logits", "probabilities"]
    expected = client.post("/student/predict", json=example.raw).json()["probabilities"]
    assert answer["outputs"][1] == {"name": "probabilities", "datatype": "FP32", "shape": [4], "data": expected}


@pytest.mark.parametrize("datatypes", [*product(("INT32", "INT64"), repeat=2)])
def test_binary_tensors_give_the_golden_logits(
    client: Client, bundle: Bundle, wire: Any, datatypes: tuple[str, str]
) -> None:
    """Both directions in binary, each golden request, batches of one included, and wherever the bytes start."""
    named = dict(zip(("context_ids", "candidate_ids"), datatypes, strict=True))
    for request in bundle.golden:
        tensors = {"context_ids": request.context_ids, "candidate_ids": request.candidate_ids}
        for padding in range(8):
            body, length = wire.binary(tensors, named, id="x" * padding, parameters=BOTH)
            response = wire.post(client, body, length)
            assert response.status_code == 200, response.text
            assert response.headers["content-type"] == "application/octet-stream"
            got = wire.outputs(response)
            np.testing.assert_allclose(got["logits"], request.logits, atol=1e-5, rtol=0)
            calibrated = bundle.manifest.calibration.slope * got["logits"] + bundle.manifest.calibration.intercept
            np.testing.assert_allclose(got["probabilities"], 1 / (1 + np.exp(-calibrated)), atol=1e-6, rtol=0)


def test_inputs_in_another_order_and_mixed_forms_are_the_same_request(client: Client, wire: Any, example: Any) -> None:
    turned = dict(reversed(example.tensors.items()))
    body, length = wire.binary(turned, {"context_ids": "INT64", "candidate_ids": "INT32"}, parameters=BOTH)
    first = wire.outputs(wire.post(client, body, length))
    header = json.loads(wire.binary({"candidate_ids": example.candidate_ids})[0].partition(b"}]}")[0] + b"}]}")
    header["inputs"].append(wire.tensor("context_ids", example.context_ids))
    start = json.dumps(header).encode()
    mixed = wire.post(client, start + example.candidate_ids.astype("<i4").tobytes(), len(start))
    assert wire.outputs(mixed)["logits"].tolist() == first["logits"].tolist()


@pytest.mark.parametrize(
    ("wanted", "all_binary", "names", "binary"),
    [
        ([{"name": "probabilities"}], None, ["probabilities"], []),
        ([{"name": "probabilities"}, {"name": "logits"}], None, ["probabilities", "logits"], []),
        ([{"name": "logits", "parameters": {"binary_data": True}}], None, ["logits"], ["logits"]),
        ([{"name": "logits", "parameters": {"binary_data": False}}, {"name": "probabilities"}], True,
         ["logits", "probabilities"], ["probabilities"]),
        ([{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "logits"}], False,
         ["probabilities", "logits"], ["probabilities"]),
        ([], True, ["logits", "probabilities"], ["logits", "probabilities"]),
        (None, None, ["logits", "probabilities"], []),
    ],
)  # fmt: skip
def test_the_outputs_asked_for_are_answered_in_the_form_asked_for(
    infer: Infer, wire: Any, example: Any, *, wanted: Any, all_binary: bool | None, names: list[str], binary: list[str]
) -> None:
    parameters = {} if all_binary is None else {"binary_data_output": all_binary}
    response = infer([wire.tensor(*pair) for pair in example.tensors.items()], outputs=wanted, parameters=parameters)
    found = wire.outputs(response)
    assert list(found) == names
    length = int(response.headers.get("inference-header-content-length", len(response.content)))
    outputs = json.loads(response.content[:length])["outputs"]
    assert [output["name"] for output in outputs if "parameters" in output] == binary
    assert ("inference-header-content-length" in response.headers) == bool(binary)
    alone = wire.outputs(infer([wire.tensor(*pair) for pair in example.tensors.items()]))
    assert all(found[name].tolist() == alone[name].tolist() for name in names)


def test_the_answer_names_model_version_and_id(infer: Infer, wire: Any, example: Any) -> None:
    inputs = [wire.tensor(*pair) for pair in example.tensors.items()]
    response = infer(inputs, id="r-1")
    answer = response.json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("tiny-student", "v1", "r-1")
    assert response.headers["x-request-id"] == "r-1"
    assert "id" not in infer(inputs).json()
    odd = infer(inputs, id="two words\r\nx: 1")
    assert odd.json()["id"] == "two words\r\nx: 1"
    assert "\n" not in odd.headers["x-request-id"]


@pytest.mark.parametrize(
    "path", ["student", "tiny-student", "student/versions/v1", "tiny-student/versions/v1", "teacher", "tiny-teacher"]
)
def test_a_model_is_addressed_by_arm_or_bundle_and_version(
    client: Client, infer: Infer, wire: Any, example: Any, path: str
) -> None:
    response = infer([wire.tensor(*pair) for pair in example.tensors.items()], path)
    arm = "teacher" if "teacher" in path else "student"
    assert response.json()["model_name"] == f"tiny-{arm}"
    expected = client.post(f"/{arm}/predict", json=example.raw).json()["probabilities"]
    assert response.json()["outputs"][1]["data"] == expected


def test_the_student_answers_where_both_bundles_have_the_name(
    open_client: OpenClient, bundles: Path, wire: Any, example: Any
) -> None:
    twins = open_client(teacher_bundle=bundles / "student")
    inputs = [wire.tensor(*pair) for pair in example.tensors.items()]
    assert twins.post("/v2/models/tiny-student/infer", json={"inputs": inputs}).status_code == 200
    assert twins.metric("ctr_stage_duration_seconds_count", stage="infer", arm="student") == 1


def test_what_other_clients_add_is_passed_over(infer: Infer, wire: Any, example: Any) -> None:
    """MLServer marks tensors with a content type, Triton sends a priority, KServe the model's name; null is absent."""
    inputs = [{**wire.tensor(*pair), "parameters": {"content_type": "np"}} for pair in example.tensors.items()]
    more = {"model_name": "student", "model_version": None, "id": None, "outputs": None}
    assert infer(inputs, parameters={"priority": 1, "timeout": 5}, **more).status_code == 200


def test_a_model_without_context_fields_needs_no_context(open_client: OpenClient, bundles: Path, wire: Any) -> None:
    flat = open_client(student_bundle=bundles / "no-context")
    request = next(iter(read_bundle(bundles / "no-context").golden))
    candidates = wire.tensor("candidate_ids", request.candidate_ids)
    empty = {"name": "context_ids", "datatype": "INT32", "shape": [1, 0]}
    bodies = [wire.binary({"context_ids": np.zeros((1, 0)), "candidate_ids": request.candidate_ids})]
    for inputs in ([candidates], [{**empty, "data": []}, candidates], [candidates, {**empty, "data": [[]]}]):
        start = json.dumps({"inputs": inputs}).encode()
        bodies.append((start, len(start)))
    for body, length in bodies:
        response = wire.post(flat, body, length)
        assert response.status_code == 200, response.text
        np.testing.assert_allclose(wire.outputs(response)["logits"], request.logits, atol=1e-5, rtol=0)


def test_an_answer_is_counted_like_any_other(open_client: OpenClient, wire: Any, example: Any) -> None:
    client = open_client()
    candidate_ids = example.candidate_ids.copy()
    candidate_ids[:3, 1] = 1  # an unknown category
    body, length = wire.binary({"context_ids": example.context_ids, "candidate_ids": candidate_ids})
    assert wire.post(client, body, length).status_code == 200
    assert wire.post(client, body, 1).status_code == 400
    model = "tiny-student@v1"
    assert client.metric("ctr_candidates_total", model=model) == 4
    assert client.metric("ctr_model_flops_total", model=model) == 400
    assert client.metric("ctr_score_count", model=model) == 4
    assert client.metric("ctr_oov_total", field="category") == 3
    for stage in ("decode", "encode", "infer", "respond"):
        assert client.metric("ctr_stage_duration_seconds_count", stage=stage, arm="student") == 1
    labels = {"route": "/v2/models/{model}/infer", "arm": "student"}
    assert client.metric("ctr_request_duration_seconds_count", **labels, status_class="2xx") == 1
    assert client.metric("ctr_request_duration_seconds_count", **labels, status_class="4xx") == 1
