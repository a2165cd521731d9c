from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from service.api.problems import ProblemError
from service.api.requests import RequestReader, decode
from service.bundle import Bundle, read_bundle

CONTEXT: dict[str, Any] = {"user": "u3", "hour": 13}
COLUMNS: dict[str, Any] = {"item": ["i0", "i1"], "category": ["books", "music"], "price": [0, 3.0]}
ROWS = [{"item": "i0", "category": "books", "price": 0}, {"item": "i1", "category": "music", "price": 3.0}]


@pytest.fixture(scope="module")
def reader(bundle: Bundle) -> RequestReader:
    return RequestReader(bundle.encoder, bundle.catalogue, max_candidates=5)


def refused(reader: RequestReader, request: object) -> tuple[str, int, dict[str, Any], str]:
    """Slug, status, extension members and detail of the problem that the request is refused with."""
    with pytest.raises(ProblemError) as caught:
        reader.read(orjson.dumps(request))
    error = caught.value
    return error.problem.slug, error.problem.status, error.extensions, error.detail


def test_every_form_encodes_to_the_same_ids(reader: RequestReader) -> None:
    contexts: list[dict[str, Any]] = [{"context": CONTEXT}, {"context_ids": {"hour": 4, "user": 5}}]
    candidates = [
        {"candidates": COLUMNS},
        {"candidates": ROWS},
        {"items": ["i0", "i1"]},
        {"candidate_ids": {"price": [2, 5], "item": [2, 3], "category": [2, 3]}},
    ]
    for form, context in product(candidates, contexts):
        request = reader.read(orjson.dumps({**context, **form}))
        np.testing.assert_array_equal(request.candidate_ids, [[2, 2, 2], [3, 3, 5]])
        np.testing.assert_array_equal(request.context_ids, [[5, 4]])
        assert request.candidate_ids.dtype == np.int32
        assert request.context_ids.dtype == np.int32


def test_the_order_of_keys_does_not_matter(reader: RequestReader) -> None:
    turned = {"candidates": dict(reversed(COLUMNS.items())), "context": dict(reversed(CONTEXT.items()))}
    encoded = reader.read(orjson.dumps(turned))
    np.testing.assert_array_equal(encoded.candidate_ids, [[2, 2, 2], [3, 3, 5]])
    np.testing.assert_array_equal(encoded.context_ids, [[5, 4]])


def test_unit_and_request_id_are_optional_and_kept(reader: RequestReader) -> None:
    body = {"context": CONTEXT, "items": ["i0"]}
    bare = reader.encode(body)
    full = reader.encode({**body, "unit": "user-42", "request_id": "r-1"})
    assert (bare.unit, bare.request_id) == (None, None)
    assert (full.unit, full.request_id) == ("user-42", "r-1")


def test_unknown_values_have_id_1_and_missing_ones_id_0(reader: RequestReader) -> None:
    encoded = reader.encode(
        {"context": {"user": "nobody", "hour": None}, "candidates": [{"item": "", "category": "x", "price": None}]}
    )
    np.testing.assert_array_equal(encoded.context_ids, [[1, 0]])
    np.testing.assert_array_equal(encoded.candidate_ids, [[0, 1, 0]])


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "line 1, column 1"),
        (b"{", "line 1, column"),
        (b'{"context": NaN}', "line 1, column 13"),
        (b'{"context":\n {"hour": Infinity}}', "line 2, column 11"),
        (b'{"context": {"hour": 1e999}}', "infinity"),
        (b'{"context": {"hour": ' + b"9" * 400 + b"}}", "infinity"),
        (b'{"unit": "\\ud800"}', "surrogate"),
        (b'{"unit": "\xed\xa0\x80"}', "UTF-8"),
        (b"\xff\xfe{}", "UTF-8"),
        (b'{"context":' * 5000 + b"1" + b"}" * 5000, "depth"),
        (b"[" * 100_000, "depth"),
        (b"{} {}", "line 1, column 4"),
        (b"{'context': 1}", "line 1, column 2"),
    ],
)
def test_what_is_not_json_is_refused_saying_where(body: bytes, where: str) -> None:
    with pytest.raises(ProblemError, match=where) as caught:
        decode(body)
    assert caught.value.problem.slug == "malformed-json"
    assert caught.value.problem.status == 422


@pytest.mark.parametrize(
    ("body", "field", "position"),
    [
        (b'{"context": {"user": "u1", "hour": NaN}}', "hour", None),
        (b'{"candidates": {"item": ["i0", "i1"], "price": [1, -Infinity]}}', "price", 1),
        (b'{"candidates": [{"price": 1}, {"price": 2}, {"price": 1e999}]}', "price", 2),
        (b'{"context": {"hour": NaN, "hour": 3}}', None, None),
        (b'{"context": NaN, "candidates": 3}', "context", None),
        (b'{"context_ids": {"user": 1}, "candidate_ids": {"item": [1, 2, NaN]}}', "item", 2),
        (b'{"inputs": [{"name": "context_ids", "data": [1, NaN]}]}', "data", 1),
        (b"[" * 2000 + b"NaN" + b"]" * 2000, None, None),
    ],
)
def test_a_number_that_json_lacks_is_refused_naming_field_and_position(
    body: bytes, field: str | None, position: int | None
) -> None:
    with pytest.raises(ProblemError) as caught:
        decode(body)
    assert caught.value.problem.slug == "malformed-json"
    assert caught.value.extensions.get("field") == field
    assert caught.value.extensions.get("position") == position


@pytest.mark.parametrize("value", [[], "text", 1, None, True, 1.5])
def test_a_body_that_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(ProblemError) as caught:
        decode(orjson.dumps(value))
    assert caught.value.extensions["expected"] == "an object"


BASE: dict[str, Any] = {"context": CONTEXT, "candidates": COLUMNS}
ID_COLUMNS: dict[str, Any] = {"item": [2, 3], "category": [2, 3], "price": [2, 5]}
IDS: dict[str, Any] = {"context_ids": {"user": 5, "hour": 4}, "candidate_ids": ID_COLUMNS}


@pytest.mark.parametrize(
    ("request_", "slug", "members"),
    [
        # Keys of the request
        ({**BASE, "unti": "a"}, "unknown-field", {"field": "unti"}),
        ({**BASE, "items": ["i0"]}, "malformed-request", {"field": "candidates", "got": "candidates and items"}),
        ({"context": CONTEXT}, "malformed-request", {"field": "candidates", "got": "none"}),
        ({**BASE, "unit": 42}, "bad-value", {"field": "unit", "got": "42"}),
        ({**BASE, "unit": ""}, "bad-value", {"field": "unit"}),
        ({**BASE, "unit": "x" * 257}, "bad-value", {"field": "unit"}),
        ({**BASE, "request_id": "a b"}, "bad-value", {"field": "request_id"}),
        ({**BASE, "request_id": "a\n"}, "bad-value", {"field": "request_id"}),
        ({**BASE, "request_id": ["a"]}, "bad-value", {"field": "request_id", "got": "a JSON array"}),
        # The context
        ({"candidates": COLUMNS}, "missing-field", {"field": "context"}),
        ({**BASE, "context": [CONTEXT]}, "malformed-request", {"field": "context", "got": "a JSON array"}),
        ({**BASE, "context": {"user": "u3"}}, "missing-field", {"field": "hour"}),
        ({**BASE, "context": {**CONTEXT, "usr": 1}}, "unknown-field", {"field": "usr"}),
        ({**BASE, "context": {**CONTEXT, "item": "i0"}}, "misplaced-field", {"field": "item", "got": "context"}),
        ({**BASE, "context": {**CONTEXT, "hour": "noon"}}, "bad-value", {"field": "hour", "got": "str 'noon'"}),
        ({**BASE, "context": {**CONTEXT, "user": 1.5}}, "bad-value", {"field": "user", "got": "float 1.5"}),
        ({**BASE, "context": {**CONTEXT, "user": True}}, "bad-value", {"field": "user", "got": "bool True"}),
        ({**BASE, "context": {**CONTEXT, "user": ["u3"]}}, "bad-value", {"field": "user"}),
        # Columns
        ({**BASE, "candidates": "i0"}, "malformed-request", {"field": "candidates", "got": "'i0'"}),
        ({**BASE, "candidates": None}, "malformed-request", {"field": "candidates", "got": "a JSON null"}),
        ({**BASE, "candidates": {}}, "missing-field", {"field": "item"}),
        ({**BASE, "candidates": {**COLUMNS, "color": []}}, "unknown-field", {"field": "color"}),
        ({**BASE, "candidates": {**COLUMNS, "user": []}}, "misplaced-field", {"field": "user", "got": "candidates"}),
        ({**BASE, "candidates": {**COLUMNS, "item": "i0"}}, "malformed-request", {"field": "item", "got": "'i0'"}),
        ({**BASE, "candidates": {**COLUMNS, "price": [1]}}, "ragged-columns", {"field": "price", "got": "1 values"}),
        ({**BASE, "candidates": {field: [] for field in COLUMNS}}, "no-candidates", {"field": "candidates"}),
        (
            {**BASE, "candidates": {**COLUMNS, "price": [1, "two"]}},
            "bad-value",
            {"field": "price", "position": 1, "got": "str 'two'"},
        ),
        (
            {**BASE, "candidates": {**COLUMNS, "item": ["i0", {"a": 1}]}},
            "bad-value",
            {"field": "item", "position": 1},
        ),
        # Rows
        ({**BASE, "candidates": []}, "no-candidates", {"field": "candidates"}),
        ({**BASE, "candidates": [ROWS[0], 5]}, "malformed-request", {"position": 1, "got": "5"}),
        ({**BASE, "candidates": [ROWS[0], {"item": "i0"}]}, "missing-field", {"position": 1, "field": "category"}),
        ({**BASE, "candidates": [ROWS[0], {**ROWS[1], "x": 1}]}, "unknown-field", {"position": 1, "field": "x"}),
        ({**BASE, "candidates": [{**ROWS[1], "hour": 1}]}, "misplaced-field", {"position": 0, "field": "hour"}),
        (
            {**BASE, "candidates": [ROWS[0], {**ROWS[1], "price": "x"}]},
            "bad-value",
            {"position": 1, "field": "price"},
        ),
        # Ids
        ({**IDS, "context": CONTEXT}, "malformed-request", {"field": "context", "got": "context and context_ids"}),
        ({**IDS, "items": ["i0"]}, "malformed-request", {"field": "candidates", "got": "candidate_ids and items"}),
        ({**IDS, "context_ids": [5, 4]}, "malformed-request", {"field": "context_ids", "got": "a JSON array"}),
        ({**IDS, "context_ids": {"user": 5}}, "missing-field", {"field": "hour"}),
        ({**IDS, "context_ids": {"user": 22, "hour": 4}}, "bad-value", {"field": "user", "got": "22"}),
        ({**IDS, "context_ids": {"user": 5, "hour": "4"}}, "bad-value", {"field": "hour", "got": "'4'"}),
        ({**IDS, "candidate_ids": [{"item": 2}]}, "malformed-request", {"field": "candidate_ids"}),
        ({**IDS, "candidate_ids": {"item": [2]}}, "missing-field", {"field": "category"}),
        ({**IDS, "candidate_ids": {**ID_COLUMNS, "item": []}}, "ragged-columns", {"field": "category"}),
        ({**IDS, "candidate_ids": {name: [] for name in ID_COLUMNS}}, "no-candidates", {"field": "candidate_ids"}),
        *(
            (
                {**IDS, "candidate_ids": {**ID_COLUMNS, "price": [2, bad]}},
                "bad-value",
                {"field": "price", "position": 1},
            )
            for bad in (-1, 42, 2.0, True, None, "2", 2**31, 2**63, -(2**40))
        ),
        # Items
        ({"context": CONTEXT, "items": []}, "no-candidates", {"field": "items"}),
        ({"context": CONTEXT, "items": "i0"}, "malformed-request", {"field": "items", "got": "'i0'"}),
        ({"context": CONTEXT, "items": {"i0": 1}}, "malformed-request", {"field": "items"}),
        ({"context": CONTEXT, "items": ["i0", "i99"]}, "unknown-item", {"position": 1, "got": "'i99'"}),
        ({"context": CONTEXT, "items": ["i0", None]}, "unknown-item", {"position": 1, "got": "a JSON null"}),
        ({"context": CONTEXT, "items": [["i0"]]}, "unknown-item", {"position": 0, "got": "a JSON array"}),
        ({"context": CONTEXT, "items": [True]}, "unknown-item", {"position": 0, "got": "True"}),
    ],
)
def test_a_malformed_request_is_refused_naming_field_position_and_value(
    reader: RequestReader, request_: dict[str, Any], slug: str, members: dict[str, Any]
) -> None:
    found, status, extensions, detail = refused(reader, request_)
    assert (found, status) == (slug, 422)
    assert members.items() <= extensions.items(), extensions
    assert "expected" in extensions or "expected" in detail


@pytest.mark.parametrize(
    "form",
    [
        {"candidates": {"item": ["i0"] * 6, "category": ["books"] * 6, "price": [1] * 6}},
        {"candidates": [ROWS[0]] * 6},
        {"items": ["i0"] * 6},
        {"candidate_ids": {"item": [2] * 6, "category": [2] * 6, "price": [2] * 6}},
    ],
    ids=["columns", "rows", "items", "ids"],
)
def test_too_many_candidates_are_refused_and_as_many_as_allowed_are_not(
    reader: RequestReader, form: dict[str, Any]
) -> None:
    slug, status, extensions, _ = refused(reader, {"context": CONTEXT, **form})
    assert (slug, status) == ("too-many-candidates", 413)
    assert (extensions["got"], extensions["expected"]) == ("6", "1 to 5")
    key, value = next(iter(form.items()))
    fewer = {name: column[:5] for name, column in value.items()} if isinstance(value, dict) else value[:5]
    assert len(reader.encode({"context": CONTEXT, key: fewer}).candidate_ids) == 5


def test_a_missing_field_lists_the_expected_ones(reader: RequestReader) -> None:
    _, _, extensions, detail = refused(reader, {**BASE, "context": {}})
    assert extensions["expected"] == "context fields user, hour"
    assert detail == "context lacks 'user'; expected the context fields user, hour"


def test_items_without_a_catalogue_are_refused_with_what_to_send(bundles: Path) -> None:
    bare = read_bundle(bundles / "no-catalogue")
    slug, status, _, detail = refused(RequestReader(bare.encoder, None, 5), {"context": CONTEXT, "items": ["i0"]})
    assert (slug, status) == ("no-catalogue", 422)
    assert "send candidates with the candidate fields item, category, price" in detail


def test_a_model_without_context_fields_needs_no_context_and_takes_none(bundles: Path) -> None:
    flat = read_bundle(bundles / "no-context")
    reader = RequestReader(flat.encoder, flat.catalogue, 5)
    for request in ({"candidates": COLUMNS}, {"context": {}, "candidates": COLUMNS}):
        encoded = reader.encode(request)
        assert encoded.context_ids.shape == (1, 0)
        assert encoded.candidate_ids.shape == (2, 3)
    assert refused(reader, BASE)[0] == "unknown-field"


def test_numbers_at_the_edge_of_json_are_values_like_any_other(reader: RequestReader) -> None:
    """2**63 and 2**64 - 1 are integers, 1e308 a number; none may overflow on the way to an id."""
    for price in (2**63, 2**64 - 1, -(2**63), 1e308, -1e308, -0.0, 5e-324):
        for hour in (2**64 - 1, -1e308):
            body = {"context": {"user": 2**63, "hour": hour}, "candidates": [{**ROWS[0], "price": price}]}
            assert reader.read(orjson.dumps(body)).candidate_ids.shape == (1, 3)
