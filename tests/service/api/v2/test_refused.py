"""What /infer refuses, in the protocol's own form of an error, and never with a score."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.bundle import Ids
from service.scoring import Logits, OnnxScorer

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Client, OpenClient

Change = Callable[[dict[str, Any]], None]
INT32 = np.iinfo(np.int32)


def check(response: httpx.Response, status: int, *parts: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    for part in parts:
        assert part in body["error"], body["error"]


def changed(place: str, value: Any) -> Change:
    """Sets the place `inputs.1.data.0` of a request to `value`."""

    def apply(request: dict[str, Any]) -> None:
        node: Any = request
        *path, last = place.split(".")
        for key in path:
            node = node[int(key) if isinstance(node, list) else key]
        node[int(last) if isinstance(node, list) else last] = value

    return apply


@pytest.mark.parametrize(
    ("place", "value", "parts"),
    [
        # ids: the first that is no id of its field, whatever is wrong with it
        ("inputs.1.data.2.1", -1, ["candidate_ids[2]", "'category'", "got -1", "0 to 5"]),
        ("inputs.1.data.2.1", 6, ["candidate_ids[2]", "'category'", "got 6"]),
        ("inputs.1.data.3.0", 32, ["candidate_ids[3]", "'item'", "got 32", "0 to 31"]),
        ("inputs.0.data.0.0", 22, ["context_ids[0]", "'user'", "got 22", "0 to 21"]),
        ("inputs.1.data.0.2", 2**31, ["candidate_ids[0]", "'price'"]),
        ("inputs.1.data.0.2", 2**32 + 2, ["candidate_ids[0]", "'price'"]),
        ("inputs.1.data.0.2", -(2**63), ["candidate_ids[0]", "'price'"]),
        ("inputs.1.data.0.2", 2**64 - 1, ["candidate_ids[0]", "'price'"]),
        ("inputs.1.data.0.2", 2**70, ["candidate_ids[0]", "'price'"]),
        ("inputs.1.data.0.2", 2.0, ["candidate_ids[0]", "'price'", "got 2.0"]),
        ("inputs.1.data.0.2", True, ["candidate_ids[0]", "'price'", "got True"]),
        ("inputs.1.data.0.2", "2", ["candidate_ids[0]", "'price'", "got '2'"]),
        ("inputs.1.data.0.2", None, ["candidate_ids[0]", "'price'", "null"]),
        ("inputs.1.data.0.2", [2], ["candidate_ids[0]", "'price'", "array"]),
        # shapes and data that disagree
        ("inputs.1.data.1", [2, 2], ["candidate_ids", "2 values", "position 1"]),
        ("inputs.1.data.1", 2, ["candidate_ids", "position 1"]),
        ("inputs.1.data.0", 2, ["candidate_ids", "4 values", "12"]),
        ("inputs.1.data", [[2, 2, 2]] * 3, ["3 rows", "4"]),
        ("inputs.1.data", [2] * 11, ["11 values", "12"]),
        ("inputs.1.data", [], ["0 values", "12"]),
        ("inputs.1.data", {"a": 1}, ["object"]),
        ("inputs.1.data", None, ["null"]),
        ("inputs.1.shape", [3, 4], ["[3, 4]", "[N, 3]"]),
        ("inputs.1.shape", [12], ["[12]"]),
        ("inputs.1.shape", [1, 4, 3], ["[1, 4, 3]"]),
        ("inputs.1.shape", [4.0, 3], ["[4.0, 3]"]),
        ("inputs.1.shape", [True, 3], ["[True, 3]"]),
        ("inputs.1.shape", [-4, 3], ["[-4, 3]", "N 1 to"]),
        ("inputs.1.shape", [0, 3], ["[0, 3]"]),
        ("inputs.1.shape", [4, 2**40], ["shape"]),
        ("inputs.1.shape", [2**70, 3], ["shape"]),
        ("inputs.1.shape", None, ["null"]),
        ("inputs.1.shape", "4,3", ["4,3"]),
        ("inputs.0.shape", [2, 2], ["context_ids", "[2, 2]"]),
        ("inputs.0.shape", [2**40, 2], ["context_ids"]),
        # datatypes
        ("inputs.1.datatype", "FP32", ["'FP32'", "INT32 or INT64"]),
        ("inputs.1.datatype", "UINT32", ["'UINT32'"]),
        ("inputs.1.datatype", "int32", ["'int32'"]),
        ("inputs.1.datatype", None, ["null"]),
        ("inputs.1.datatype", ["INT32"], ["array"]),
        # names
        ("inputs.1.name", "context_ids", ["second context_ids"]),
        ("inputs.1.name", "item_ids", ["'item_ids'", "context_ids or candidate_ids"]),
        ("inputs.1.name", 5, ["5"]),
        ("inputs.1.name", ["candidate_ids"], ["array"]),
        ("inputs", [], ["lacks context_ids"]),
        ("inputs", None, ["lacks context_ids"]),
        ("inputs", {"context_ids": [1]}, ["array of objects"]),
        ("inputs", [5, 6], ["array of objects"]),
        ("inputs.1.dtype", "INT32", ["inputs[1]", "'dtype'"]),
        ("input", [], ["unknown key 'input'"]),
        # parameters
        ("parameters", [1], ["parameters", "object"]),
        ("parameters", {"binary_data_output": "yes"}, ["binary_data_output", "'yes'"]),
        ("inputs.1.parameters", 3, ["candidate_ids", "parameters"]),
        ("inputs.1.parameters", {"binary_data_size": 48}, ["both"]),
        ("inputs.1.parameters", {"binary_data_size": -1}, ["-1"]),
        ("inputs.1.parameters", {"binary_data_size": 48.0}, ["48.0"]),
        ("inputs.1.parameters", {"binary_data_size": True}, ["True"]),
        # outputs
        ("outputs", [{"name": "score"}], ["'score'", "logits or probabilities"]),
        ("outputs", [{"name": "logits"}, {"name": "logits"}], ["outputs[1]", "once"]),
        ("outputs", [{}], ["null"]),
        ("outputs", ["logits"], ["array of objects"]),
        ("outputs", [{"name": "logits", "parameters": {"binary_data": 1}}], ["binary_data 1"]),
        ("outputs", [{"name": "logits", "parameters": {"classification": 2}}], ["classification"]),
        ("outputs", [{"name": "logits", "parameters": {"shared_memory_region": "a"}}], ["shared_memory_region"]),
        ("outputs", [{"name": "logits", "data": []}], ["outputs[0]", "'data'"]),
        ("id", 7, ["id is 7"]),
        ("id", "x" * 257, ["id is"]),
    ],
)
def test_a_malformed_request_is_400(
    client: Client, wire: Any, example: Any, *, place: str, value: Any, parts: list[str]
) -> None:
    request = {"inputs": [wire.tensor(*pair) for pair in example.tensors.items()]}
    assert client.post("/v2/models/student/infer", json=request).status_code == 200
    changed(place, value)(request)
    check(client.post_body("/v2/models/student/infer", json.dumps(request).encode()), 400, *parts)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"NaN", b"\xff", b'{"inputs": [NaN]}', b'{"id": "\xff"}', b"[" * 5000]
)
def test_a_body_that_is_no_json_object_is_400(client: Client, body: bytes) -> None:
    check(client.post_body("/v2/models/student/infer", body), 400)


@pytest.mark.parametrize("missing", ["context_ids", "candidate_ids"])
def test_a_missing_input_is_named(client: Client, wire: Any, example: Any, missing: str) -> None:
    tensors = {name: ids for name, ids in example.tensors.items() if name != missing}
    check(wire.post(client, *wire.binary(tensors)), 400, f"lacks {missing}")


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        *(("INT32", value) for value in (-1, 6, INT32.max, INT32.min)),
        *(("INT64", value) for value in (-1, 6, 2**32, 2**32 + 2, -(2**32) + 2, 2**63 - 1, -(2**63))),
    ],
)
def test_a_binary_id_outside_its_table_is_named(
    client: Client, wire: Any, example: Any, datatype: str, value: int
) -> None:
    """Also one that would be an id if it were cut to 32 bits."""
    candidate_ids = example.candidate_ids.astype(np.int64)
    candidate_ids[2, 1] = value
    body, length = wire.binary({**example.tensors, "candidate_ids": candidate_ids}, datatype)
    check(wire.post(client, body, length), 400, "candidate_ids[2]", "'category'", f"got {value}")


def test_a_binary_tensor_whose_length_disagrees_with_its_shape_is_400(client: Client, wire: Any, example: Any) -> None:
    body, length = wire.binary(example.tensors)
    header = json.loads(body[:length])
    for size in (0, 1, 44, 47, 49, 52, 96, 2**40, 2**63 - 1):
        wrong = copy.deepcopy(header)
        wrong["inputs"][1]["parameters"]["binary_data_size"] = size
        start = json.dumps(wrong).encode()
        check(wire.post(client, start + body[length:], len(start)), 400, "candidate_ids", f"{size}", "48")
    for shape in ([3, 3], [5, 3], [4, 4]):
        wrong = copy.deepcopy(header)
        wrong["inputs"][1]["shape"] = shape
        start = json.dumps(wrong).encode()
        check(wire.post(client, start + body[length:], len(start)), 400, "candidate_ids")


def test_ids_of_the_other_datatype_are_400_not_a_wrong_score(client: Client, wire: Any, example: Any) -> None:
    body, length = wire.binary(example.tensors, "INT64")
    header = json.loads(body[:length])
    for described in header["inputs"]:
        described["datatype"] = "INT32"
    start = json.dumps(header).encode()
    check(wire.post(client, start + body[length:], len(start)), 400, "binary_data_size")


def test_bytes_missing_or_left_over_are_400(client: Client, wire: Any, example: Any) -> None:
    body, length = wire.binary(example.tensors)
    for cut in (1, 4, 48, 49, len(body) - length):
        check(wire.post(client, body[:-cut], length), 400, "bytes left in the body")
    for more in (b"\x00", bytes(4), bytes(48)):
        check(wire.post(client, body + more, length), 400, f"{len(more)} bytes after its last tensor")
    start = json.dumps({"inputs": [wire.tensor(*pair) for pair in example.tensors.items()]}).encode()
    check(wire.post(client, start + bytes(8), len(start)), 400, "8 bytes after its last tensor")


@pytest.mark.parametrize("change", [-1000, -1, 1, 1000, 10**20])
def test_a_header_length_that_is_off_is_400(client: Client, wire: Any, example: Any, change: int) -> None:
    body, length = wire.binary(example.tensors)
    check(wire.post(client, body, length + change), 400)
    start = json.dumps({"inputs": [wire.tensor(*pair) for pair in example.tensors.items()]}).encode()
    check(wire.post(client, start, len(start) + change), 400, "Inference-Header-Content-Length" if change > 0 else "")


@pytest.mark.parametrize(
    "stated", ["", "-5", "+5", "5.0", "0x10", "five", "²", "1_0", "1e2", "9" * 30, "9" * 5000, "5, 5"]
)
def test_a_header_length_that_is_no_number_is_400(client: Client, wire: Any, example: Any, stated: str) -> None:
    body, _ = wire.binary(example.tensors)
    headers = [("inference-header-content-length", part.encode("latin-1")) for part in stated.split(", ")]
    check(client.post("/v2/models/student/infer", content=body, headers=headers), 400, "Content-Length")


def test_binary_tensors_without_the_header_are_400(client: Client, wire: Any, example: Any) -> None:
    body, length = wire.binary(example.tensors)
    check(client.post("/v2/models/student/infer", content=body), 400)
    check(client.post("/v2/models/student/infer", content=body[:length]), 400, "0 bytes left in the body")


def test_too_many_candidates_are_413_whatever_their_shape_claims(open_client: OpenClient, wire: Any) -> None:
    small = open_client(max_candidates=4)
    for rows in (5, 2**31, 2**40, 2**63):
        tensor = {"name": "candidate_ids", "datatype": "INT32", "shape": [rows, 3], "data": [2] * 15}
        inputs = [wire.tensor("context_ids", [[2, 2]]), tensor]
        check(small.post("/v2/models/student/infer", json={"inputs": inputs}), 413, "1 to 4")
    assert small.post("/v2/models/student/infer", json={"inputs": [wire.tensor("context_ids", [[2, 2]]),
        wire.tensor("candidate_ids", [[2, 2, 2]] * 4)]}).status_code == 200  # fmt: skip


def test_an_oversized_body_is_413_in_the_protocols_form(open_client: OpenClient) -> None:
    small = open_client(max_body_bytes=100)
    check(small.post("/v2/models/student/infer", content=b" " * 101), 413, "100 bytes")

    async def chunks():  # noqa: ANN202 - an async generator of bytes
        for _ in range(100):
            yield b" " * 10

    check(small.post("/v2/models/student/infer", content=chunks()), 413, "100 bytes")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_another_content_type_is_415(client: Client, headers: dict[str, str]) -> None:
    check(client.post("/v2/models/student/infer", content=b"{}", headers=headers), 415)


@pytest.mark.parametrize("headers", [{}, {"content-type": "Application/JSON; charset=utf-8"}])
def test_no_content_type_is_json_as_tritons_client_sends_it(
    client: Client, wire: Any, example: Any, headers: dict[str, str]
) -> None:
    body = json.dumps({"inputs": [wire.tensor(*pair) for pair in example.tensors.items()]}).encode()
    assert client.post("/v2/models/student/infer", content=body, headers=headers).status_code == 200


class NotFinite(OnnxScorer):
    """A model that was ruined for batches of three."""

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        logits_N = super().score(context_ids, candidate_ids).copy()
        if len(candidate_ids) == 3:
            logits_N[2] = math.nan
        return logits_N


class Fails(OnnxScorer):
    """A runtime that fails on batches of three."""

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        if len(candidate_ids) == 3:
            raise RuntimeError("secret of the runtime")
        return super().score(context_ids, candidate_ids)


@pytest.mark.parametrize(("scorer", "part"), [(NotFinite, "position 2"), (Fails, "X-Request-Id")])
def test_a_ruined_model_is_a_500_in_the_protocols_form(
    open_client: OpenClient, wire: Any, example: Any, scorer: type[OnnxScorer], part: str
) -> None:
    ruined = open_client({"student": scorer})
    body, length = wire.binary({**example.tensors, "candidate_ids": example.candidate_ids[:3]})
    response = wire.post(ruined, body, length)
    check(response, 500, part)
    assert "secret" not in response.text
