from __future__ import annotations

import math
from bisect import bisect_right
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import BadValue, Buckets, BundleError, Category, Encoder, Field, Raw, Role, Schema, Vocabulary
from service.bundle.numeric import log_squared

EDGES = (-1.5, 0.0, 10.0)
VALUES = ("red", "42", "-7", "é")
LEVELS = ("0", "3", "23")
COLOUR = Field(name="colour", role=Role.CONTEXT)
DEGREES = Field(name="degrees", role=Role.CONTEXT, numeric=Buckets(EDGES))
PRICE = Field(name="price", role=Role.CANDIDATE, numeric=Category("log_squared"))
SCHEMA = Schema((COLOUR, DEGREES, PRICE))
ENCODER = Encoder(SCHEMA, {"colour": Vocabulary(VALUES), "price": Vocabulary(LEVELS)})

numbers = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.none() | st.text(max_size=3) | st.sampled_from(VALUES) | st.integers(-(2**63), 2**64)
rows = st.lists(st.tuples(texts, numbers, numbers), max_size=12)


def columns_of(some: list[tuple[Raw, Raw, Raw]]) -> dict[str, list[Raw]]:
    return {field.name: [row[i] for row in some] for i, field in enumerate(SCHEMA.fields)}


def id_of(field: Field, value: Any) -> int:
    """What the ids mean, one value at a time."""
    if value is None or value == "":
        return 0
    if field is DEGREES:
        return 2 + bisect_right(EDGES, value)
    key, values = (str(log_squared(value)), LEVELS) if field is PRICE else (str(value), VALUES)
    return 2 + values.index(key) if key in values else 1


@given(rows)
def test_every_value_has_the_id_its_field_gives_it(some: list[tuple[Raw, Raw, Raw]]) -> None:
    expected = [[id_of(field, value) for field, value in zip(SCHEMA.fields, row, strict=True)] for row in some]
    ids_NF = ENCODER.encode(SCHEMA.fields, columns_of(some))
    assert ids_NF.tolist() == expected
    assert ids_NF.dtype == np.int32


@given(rows)
def test_every_id_lies_in_its_fields_table(some: list[tuple[Raw, Raw, Raw]]) -> None:
    ids_NF = ENCODER.encode(SCHEMA.fields, columns_of(some))
    assert (ids_NF >= 0).all()
    assert (ids_NF < np.array(ENCODER.sizes)).all()


@given(rows)
def test_many_rows_at_once_are_the_rows_one_by_one(some: list[tuple[Raw, Raw, Raw]]) -> None:
    together_NF = ENCODER.encode(SCHEMA.fields, columns_of(some))
    assert together_NF.shape == (len(some), 3)
    for row_F, row in zip(together_NF, some, strict=True):
        assert ENCODER.encode(SCHEMA.fields, columns_of([row])).tolist() == [row_F.tolist()]


@given(rows.filter(bool))
def test_a_context_is_encoded_as_a_row_of_a_column(some: list[tuple[Raw, Raw, Raw]]) -> None:
    context = {"colour": some[0][0], "degrees": some[0][1]}
    expected = ENCODER.encode(SCHEMA.context, {name: [value] for name, value in context.items()})
    assert ENCODER.encode_context(context).tolist() == expected.tolist()


def test_tables_have_a_row_for_padding_and_unknown_and_each_value_or_bucket() -> None:
    assert ENCODER.sizes == [2 + len(VALUES), 2 + len(EDGES) + 1, 2 + len(LEVELS)]


def test_an_integer_and_its_decimal_text_are_one_value() -> None:
    assert ENCODER.encode_column("colour", [42, "42", -7, "-7"]).tolist() == [3, 3, 4, 4]


@pytest.mark.parametrize("text", ["042", "42.0", " 42", "Red", "e\u0301"])
def test_a_text_that_only_resembles_a_value_is_unknown(text: str) -> None:
    assert ENCODER.encode_column("colour", [text]).tolist() == [1]


@pytest.mark.parametrize("name", ["colour", "degrees", "price"])
def test_null_is_missing_in_every_field(name: str) -> None:
    assert ENCODER.encode_column(name, [None]).tolist() == [0]


def test_an_empty_text_is_missing() -> None:
    assert ENCODER.encode_column("colour", [""]).tolist() == [0]


@pytest.mark.parametrize("name", ["colour", "degrees", "price"])
def test_an_empty_column_has_no_ids(name: str) -> None:
    assert ENCODER.encode_column(name, []).shape == (0,)


def test_a_number_at_an_edge_belongs_to_the_bucket_above_it() -> None:
    column = [math.nextafter(0.0, -1), -0.0, 0, 0.0, 9.999, 10, 10.0]
    assert ENCODER.encode_column("degrees", column).tolist() == [3, 4, 4, 4, 4, 5, 5]


def test_a_category_of_numbers_is_looked_up_by_its_integer() -> None:
    """-0.0 floors to 0; 3 and 3.0 are one value; 100 gives 23 by hand."""
    assert ENCODER.encode_column("price", [0, -0.0, 3, 3.0, 100, 5000]).tolist() == [2, 2, 3, 3, 4, 1]


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "wrong", [True, False, 1.0, math.nan, [], {}, b"red", np.int64(42), np.str_("red"), Colour.RED], ids=repr
)
def test_a_categorical_field_refuses_what_is_neither_text_nor_integer(wrong: Any) -> None:
    with pytest.raises(BadValue) as raised:
        ENCODER.encode_column("colour", ["red", 42, None, wrong, wrong])
    assert (raised.value.field, raised.value.position) == ("colour", 3)
    assert type(wrong).__name__ in raised.value.got
    assert "string" in raised.value.expected


@pytest.mark.parametrize("name", ["degrees", "price"])
@pytest.mark.parametrize(
    "wrong",
    [math.nan, math.inf, -math.inf, True, "7", "", [], np.float64(1), 10**400, -(10**400)],
    ids=lambda v: repr(v)[:20],
)
def test_a_numeric_field_refuses_what_is_no_finite_number(name: str, wrong: Any) -> None:
    with pytest.raises(BadValue) as raised:
        ENCODER.encode_column(name, [1, 2.5, wrong, None, wrong])
    assert (raised.value.field, raised.value.position) == (name, 2)
    assert raised.value.expected == "a finite number or null"


def test_a_refusal_names_field_position_found_and_expected() -> None:
    message = "field 'degrees', position 1: got nan, expected a finite number or null"
    with pytest.raises(BadValue, match=f"^{message}$"):
        ENCODER.encode_column("degrees", [0, math.nan])


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    with pytest.raises(BadValue) as raised:
        ENCODER.encode_column("colour", [["x" * 10_000]])  # type: ignore[list-item]
    assert len(str(raised.value)) < 200


def test_a_refused_context_value_has_no_position() -> None:
    with pytest.raises(BadValue, match="field 'degrees': got inf") as raised:
        ENCODER.encode_context({"colour": "red", "degrees": math.inf})
    assert raised.value.position is None


def test_only_the_fields_asked_for_are_encoded_in_the_order_asked_for() -> None:
    columns: dict[str, list[Raw]] = {"price": [3], "colour": ["red"], "other": [object()]}  # type: ignore[list-item]
    assert ENCODER.encode([PRICE, COLOUR], columns).tolist() == [[3, 2]]


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\{'colour': 2, 'degrees': 1\}"):
        ENCODER.encode(SCHEMA.context, {"colour": ["red", "red"], "degrees": [1]})


def test_a_field_without_a_column_is_refused() -> None:
    with pytest.raises(KeyError, match="degrees"):
        ENCODER.encode_context({"colour": "red"})


def test_a_schema_without_context_encodes_an_empty_context() -> None:
    encoder = Encoder(Schema((PRICE,)), {"price": Vocabulary(LEVELS)})
    assert encoder.encode_context({}).shape == (1, 0)


@pytest.mark.parametrize(
    "names", [[], ["colour"], ["colour", "price", "degrees"], ["colour", "price", "size"]], ids=str
)
def test_vocabularies_that_are_not_those_the_schema_needs_are_refused(names: list[str]) -> None:
    with pytest.raises(BundleError, match=r"the schema needs \['colour', 'price'\]"):
        Encoder(SCHEMA, {name: Vocabulary(()) for name in names})
