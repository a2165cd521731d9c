"""Whatever is sent to /predict is answered with as many probabilities as candidates, or refused with a problem."""

from __future__ import annotations

import copy
import json
import math
from typing import TYPE_CHECKING, Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.conftest import Client

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**63, 2**63 - 1, 2**64, -(2**63) - 1, 10**400, 0, -1]),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]),
)
NAMES = st.sampled_from(
    [
        *("user", "hour", "item", "category", "price", "unit", "request_id", ""),
        *("context", "context_ids", "candidates", "candidate_ids", "items"),
    ]
)
TEXT = st.one_of(
    st.text(st.characters(), max_size=8),
    st.sampled_from(["\ud800", "\udfff\ud800", "\x00", "i0", "u3", "😀", "-1", "NaN"]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(NAMES, TEXT), inner, max_size=5)),
    max_leaves=12,
)
COLUMNS = {"item": ["i0", "i1"], "category": ["books", "x"], "price": [1, 2.5]}
VALID: list[dict[str, Any]] = [
    {"unit": "u", "request_id": "r", "context": {"user": "u3", "hour": 1}, "candidates": COLUMNS},
    {"context": {"user": "u3", "hour": 1}, "candidates": [{"item": "i0", "category": "books", "price": 3}] * 3},
    {"context": {"user": None, "hour": None}, "items": ["i0", "i9", "i3"]},
    {"context_ids": {"user": 21, "hour": 0}, "candidate_ids": {"item": [2, 3], "category": [0, 1], "price": [5, 41]}},
]


def strict_json(content: bytes) -> Any:
    """Parse what RFC 8259 allows: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} left the service")

    return json.loads(content, parse_constant=refuse)


def check(response: httpx.Response) -> None:
    body = strict_json(response.content)
    if response.status_code == 200:
        assert body["probabilities"]
        assert all(type(p) is float and 0.0 <= p <= 1.0 for p in body["probabilities"])
        sent = json.loads(response.request.content)
        sent = next(sent[key] for key in ("items", "candidate_ids", "candidates") if key in sent)
        expected = len(next(iter(sent.values()))) if isinstance(sent, dict) else len(sent)
        assert len(body["probabilities"]) == expected
    else:
        assert response.status_code in (413, 422), response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert body["status"] == response.status_code
        assert body["detail"]


@st.composite
def nearly_valid(draw: st.DrawFn) -> Any:
    """A valid request with up to three places replaced, removed or added to."""
    request = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 3))):
        node: Any = request
        while isinstance(node, (dict, list)) and node:
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            if not isinstance(node[key], (dict, list)) or not node[key] or draw(st.booleans()):
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


@settings(max_examples=400, deadline=None)
@given(request=nearly_valid())
def test_a_nearly_valid_request_is_answered_or_refused(client: Client, request: Any) -> None:
    check(client.post_body("/predict", json.dumps(request).encode()))


@settings(max_examples=200, deadline=None)
@given(value=ANYTHING)
def test_any_json_is_answered_or_refused(client: Client, value: Any) -> None:
    check(client.post_body("/predict", json.dumps(value).encode()))


@settings(max_examples=200, deadline=None)
@given(body=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode())))
def test_any_bytes_are_answered_or_refused(client: Client, body: bytes) -> None:
    check(client.post_body("/predict", body))


@settings(max_examples=200, deadline=None)
@given(
    users=LEAVES,
    hour=NUMBERS,
    rows=st.lists(st.tuples(TEXT, TEXT, st.one_of(st.none(), NUMBERS)), min_size=1, max_size=30),
)
def test_any_values_of_the_right_types_are_answered_in_number(
    client: Client, users: Any, hour: Any, rows: list
) -> None:
    columns = dict(zip(("item", "category", "price"), map(list, zip(*rows, strict=True)), strict=True))
    check(
        client.post_body(
            "/predict", json.dumps({"context": {"user": users, "hour": hour}, "candidates": columns}).encode()
        )
    )


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), flip=st.integers(0, 255), where=st.integers(0, 400))
def test_a_damaged_body_is_answered_or_refused(client: Client, cut: int, flip: int, where: int) -> None:
    body = bytearray(json.dumps(VALID[0]).encode())
    body[where % len(body)] = flip
    response = client.post_body("/predict", bytes(body[: max(cut, 1)]))
    assert response.status_code in (200, 422)
    strict_json(response.content)
