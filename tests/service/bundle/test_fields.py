from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import Buckets, BundleError, Category, Field, Role, Schema

USER = Field(name="user", role=Role.CONTEXT)
ITEM = Field(name="item", role=Role.CANDIDATE)
PRICE = Field(name="price", role=Role.CANDIDATE, numeric=Category("floor"))

numbers = st.floats(allow_nan=False, allow_infinity=False)
rules = st.one_of(
    st.none(),
    st.sampled_from([Category("floor"), Category("log_squared")]),
    st.sets(numbers, min_size=1, max_size=4).map(lambda edges: Buckets(tuple(sorted(edges)))),
)
fields = st.builds(Field, name=st.text(max_size=8), role=st.sampled_from(Role), numeric=rules)
schemas = st.lists(fields, max_size=6, unique_by=lambda field: field.name).map(
    lambda some: Schema.of([field for field in some if field.name != "item"] + [ITEM])
)


@given(schemas)
def test_a_schema_survives_the_trip_through_json(schema: Schema) -> None:
    back = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert back == schema
    assert back.digest == schema.digest


@given(schemas)
def test_context_fields_precede_candidate_fields_and_each_role_keeps_its_order(schema: Schema) -> None:
    assert schema.fields == schema.context + schema.candidate
    assert all(field.role is Role.CONTEXT for field in schema.context)
    assert all(field.role is Role.CANDIDATE for field in schema.candidate)


def test_fields_given_in_any_order_are_sorted_by_role_and_otherwise_left_alone() -> None:
    assert Schema.of([PRICE, USER, ITEM]).fields == (USER, PRICE, ITEM)


def test_a_context_field_after_a_candidate_field_is_refused() -> None:
    with pytest.raises(BundleError, match="context fields must come before"):
        Schema((ITEM, USER))


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(BundleError, match="unique"):
        Schema((USER, Field(name="user", role=Role.CANDIDATE)))


@pytest.mark.parametrize("some", [(), (USER,)])
def test_a_schema_without_candidate_fields_is_refused(some: tuple[Field, ...]) -> None:
    with pytest.raises(BundleError, match="at least one candidate field"):
        Schema(some)


def test_a_data_set_without_roles_has_no_context() -> None:
    assert Schema((ITEM, PRICE)).context == ()


def test_a_field_with_a_numeric_rule_is_numeric() -> None:
    assert (PRICE.kind, ITEM.kind) == ("numeric", "categorical")


@pytest.mark.parametrize(
    "other",
    [
        (USER, PRICE, ITEM),
        (USER, ITEM),
        (Field(name="user", role=Role.CANDIDATE), ITEM, PRICE),
        (USER, ITEM, Field(name="price", role=Role.CANDIDATE)),
        (USER, ITEM, Field(name="price", role=Role.CANDIDATE, numeric=Category("log_squared"))),
        (USER, ITEM, Field(name="cost", role=Role.CANDIDATE, numeric=Category("floor"))),
    ],
    ids=["order", "fewer", "role", "no rule", "another rule", "name"],
)
def test_the_digest_tells_schemas_apart(other: tuple[Field, ...]) -> None:
    assert Schema(other).digest != Schema((USER, ITEM, PRICE)).digest


def test_the_digest_does_not_depend_on_the_layout_of_the_json() -> None:
    schema = Schema((USER, PRICE))
    shuffled = {"fields": [dict(reversed(list(field.items()))) for field in schema.to_json()["fields"]]}
    assert Schema.from_json(shuffled).digest == schema.digest


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"role": "context", "kind": "categorical"},
        {"name": "user", "kind": "categorical"},
        {"name": "user", "role": "context"},
        {"name": "user", "role": "owner", "kind": "categorical"},
        {"name": 7, "role": "context", "kind": "categorical"},
        {"name": "user", "role": "context", "kind": "numeric"},
        {"name": "user", "role": "context", "kind": "categorical", "size": 3},
        {"name": "user", "role": "context", "kind": "categorical", "numeric": None},
        {"name": "price", "role": "context", "kind": "numeric", "numeric": {"rule": "cubed"}},
        {"name": "price", "role": "context", "kind": "categorical", "numeric": {"rule": "buckets", "edges": [1]}},
        {"name": "price", "role": "context", "kind": "numeric", "numeric": {"rule": "buckets", "edges": [2, 1]}},
        {"name": "price", "role": "context", "kind": "numeric", "numeric": {"rule": "buckets", "edges": ["a"]}},
        "user",
        None,
        ["user"],
    ],
    ids=str,
)
def test_anything_a_field_would_not_write_itself_is_refused(described: Any) -> None:
    with pytest.raises(BundleError, match=re.escape(f"schema: field {described!r}")):
        Field.from_json(described)


@pytest.mark.parametrize("described", [None, [], "fields", {}, {"fields": {}}, {"fields": [], "version": 1}], ids=str)
def test_anything_a_schema_would_not_write_itself_is_refused(described: Any) -> None:
    with pytest.raises(BundleError, match=r"expected \{'fields'"):
        Schema.from_json(described)
