"""Whatever is sent to /infer is answered with one finite number per candidate, or refused with a 4xx in words."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.conftest import Client

Outputs = Callable[[httpx.Response], dict[str, np.ndarray]]

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-3, 40),
    st.sampled_from([2**31, 2**32, 2**32 + 2, 2**40, 2**63, 2**63 - 1, 2**64, -(2**63), 10**400]),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -0.0]),
)
NAMES = st.sampled_from(
    ["id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data", "binary_data_size", "binary_data"]
)
TEXT = st.one_of(
    st.text(st.characters(), max_size=8),
    st.sampled_from(["context_ids", "candidate_ids", "logits", "probabilities", "INT32", "INT64", "FP32", "\ud800"]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(NAMES, TEXT), inner, max_size=5)),
    max_leaves=12,
)
BYTES = np.arange(2, 8, dtype="<i4").tobytes() + np.array([2, 3], "<i4").tobytes()
VALID: list[dict[str, Any]] = [
    {
        "id": "1",
        "inputs": [
            {"name": "context_ids", "datatype": "INT64", "shape": [1, 2], "data": [2, 3]},
            {"name": "candidate_ids", "datatype": "INT32", "shape": [2, 3], "data": [[2, 3, 4], [5, 1, 0]]},
        ],
        "outputs": [{"name": "logits", "parameters": {"binary_data": True}}, {"name": "probabilities"}],
    },
    {
        "inputs": [
            {"name": "candidate_ids", "datatype": "INT32", "shape": [2, 3], "parameters": {"binary_data_size": 24}},
            {"name": "context_ids", "datatype": "INT32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        ],
        "parameters": {"binary_data_output": False},
    },
]


def check(response: httpx.Response, outputs: Outputs) -> None:
    if response.status_code != 200:
        assert response.status_code in (400, 413), response.text
        assert list(response.json()) == ["error"]
        assert response.json()["error"]
        return
    found = outputs(response)
    assert found
    sizes = {len(numbers) for numbers in found.values()}
    assert len(sizes) == 1
    assert sizes.pop() > 0
    assert all(np.isfinite(numbers).all() for numbers in found.values())
    assert all(0 <= number <= 1 for number in found.get("probabilities", ()))


def post(client: Client, header: bytes, data: bytes, length: str | None) -> httpx.Response:
    headers = {} if length is None else {"inference-header-content-length": length}
    return client.post("/v2/models/student/infer", content=header + data, headers=headers)


@st.composite
def nearly_valid(draw: st.DrawFn) -> Any:
    """A valid request with up to three places replaced, removed or added to."""
    request = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 3))):
        node: Any = request
        while isinstance(node, (dict, list)) and node:
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            if not isinstance(node[key], (dict, list)) or not node[key] or draw(st.integers(0, 3)) == 0:
                break
            node = node[key]
        if not node:
            continue
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                node[key] = draw(ANYTHING)
            case "remove":
                del node[key]
            case "add" if isinstance(node, dict):
                node[draw(st.one_of(NAMES, TEXT))] = draw(ANYTHING)
            case _:
                node.append(draw(ANYTHING))
    return request


@settings(max_examples=500, deadline=5000)
@given(request=nearly_valid(), data=st.one_of(st.just(BYTES), st.just(b""), st.binary(max_size=64)))
def test_a_nearly_valid_request_is_answered_or_refused(client: Client, wire: Any, request: Any, data: bytes) -> None:
    header = json.dumps(request).encode()
    check(post(client, header, data, str(len(header))), wire.outputs)


@settings(max_examples=200, deadline=5000)
@given(value=ANYTHING)
def test_any_json_is_refused(client: Client, wire: Any, value: Any) -> None:
    check(post(client, json.dumps(value).encode(), b"", None), wire.outputs)


@settings(max_examples=200, deadline=5000)
@given(
    data=st.binary(max_size=48),
    length=st.one_of(
        st.none(), st.integers(-10, 400).map(str), st.integers().map(str), st.text("0123456789-+.e xX", max_size=9)
    ),
)
def test_any_header_length_and_any_bytes_are_answered_or_refused(
    client: Client, wire: Any, data: bytes, length: str | None
) -> None:
    check(post(client, json.dumps(VALID[1]).encode(), data, length), wire.outputs)


@settings(max_examples=300, deadline=5000)
@given(
    context=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=2),
    rows=st.lists(st.lists(st.integers(-1, 45), min_size=3, max_size=3), min_size=1, max_size=20),
    near=st.booleans(),
)
def test_ids_are_answered_exactly_when_each_is_in_its_table(
    client: Client, wire: Any, context: list[int], rows: list[list[int]], *, near: bool
) -> None:
    """Against the plain definition, over the sizes the service itself states."""
    sizes = [field["vocabulary"] for field in client.get("/models").json()["arms"]["student"]["fields"]]
    if near:
        context = [value % (size + 1) for value, size in zip(context, sizes, strict=False)]
        rows = [[value % size for value, size in zip(row, sizes[2:], strict=True)] for row in rows]
    good = all(0 <= value < size for row in rows for value, size in zip([*context, *row], sizes, strict=True))
    body, length = wire.binary({"context_ids": [context], "candidate_ids": rows})
    response = wire.post(client, body, length)
    assert response.status_code == (200 if good else 400)
    check(response, wire.outputs)
    inputs = [wire.tensor("context_ids", [context]), wire.tensor("candidate_ids", rows)]
    assert client.post("/v2/models/student/infer", json={"inputs": inputs}).status_code == response.status_code
