"""Raw columns → ids: the one implementation that training and serving share, so that skew cannot arise.

Columnar on purpose. Training passes a column of a million rows; serving passes one request's candidates.
Every value has an id: missing (None or "") is 0, a value outside the vocabulary is 1. Only a wrong *type* is an
error, and it names the field and the position.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.bundle.errors import BadValue, BundleError
from service.bundle.fields import Field, Schema
from service.bundle.numeric import TRANSFORMS, Buckets, Category
from service.bundle.vocabulary import FIRST_VALUE_ID, PADDING_ID, UNKNOWN_ID, Vocabulary
from service.loops import FINE, Table, encode_row

Raw = str | int | float | None
Ids = npt.NDArray[np.int32]

_PLAIN: frozenset[type] = frozenset({list, tuple})
"""What the loops read; another sequence is made a list."""
_NUMERIC_TYPES: frozenset[type] = frozenset({int, float, NoneType})


class FieldEncoder(Protocol):
    """Encodes the column of one field."""

    size: int
    """Number of ids: every id is in [0, size)."""
    table: Table | None
    """Of a field whose values are looked up as they are; None where they must be computed with first."""

    def encode(self, column_N: Sequence[Raw], out_N: Ids) -> None:
        """Write ids [N]; raises BadValue at the first value of a wrong type."""
        ...


class CategoricalEncoder:
    """Strings and integers; an integer is looked up by its decimal text, so 42 and "42" are one value."""

    def __init__(self, field: Field, vocabulary: Vocabulary) -> None:
        self.size = len(vocabulary)
        self.table: Table | None = vocabulary.table
        self._encode = vocabulary.table.encode
        self._name = field.name

    def encode(self, column_N: Sequence[Raw], out_N: Ids) -> None:
        """Write ids [N]; raises BadValue for a float, a boolean, a list or an object."""
        column_N = column_N if type(column_N) in _PLAIN else list(column_N)
        position = self._encode(column_N, out_N, PADDING_ID, UNKNOWN_ID)
        if position != FINE:
            raise _bad_type(self._name, column_N, position, "a string, an integer or null")


class NumericCategoryEncoder:
    """Numbers mapped to an integer by a named transform, then looked up like any other value."""

    def __init__(self, field: Field, rule: Category, vocabulary: Vocabulary) -> None:
        self.size = len(vocabulary)
        self.table: Table | None = None
        self._name = field.name
        self._transform = TRANSFORMS[rule.transform]
        self._encode = vocabulary.table.encode

    def encode(self, column_N: Sequence[Raw], out_N: Ids) -> None:
        """Write ids [N]; raises BadValue for what is not a finite number."""
        numbers = _finite(self._name, column_N)
        transform = self._transform
        categories = [None if number is None else transform(number) for number in numbers]
        self._encode(categories, out_N, PADDING_ID, UNKNOWN_ID)


class BucketEncoder:
    """Numbers mapped to 2 + the number of edges at or below them."""

    def __init__(self, field: Field, rule: Buckets) -> None:
        self.size = FIRST_VALUE_ID + len(rule.edges) + 1
        self.table: Table | None = None
        self._name = field.name
        self._edges = np.array(rule.edges, np.float64)

    def encode(self, column_N: Sequence[Raw], out_N: Ids) -> None:
        """Write ids [N]; raises BadValue for what is not a finite number."""
        numbers = _finite(self._name, column_N)
        filled_N = np.array([math.nan if number is None else number for number in numbers], np.float64)
        ids_N = FIRST_VALUE_ID + np.searchsorted(self._edges, filled_N, side="right")
        out_N[:] = np.where(np.isnan(filled_N), PADDING_ID, ids_N)


class Encoder:
    """All fields of a schema.

    Raises:
        BundleError: a field that needs a vocabulary has none, or a vocabulary has no field.
    """

    def __init__(self, schema: Schema, vocabularies: Mapping[str, Vocabulary]) -> None:
        needed = [field.name for field in schema.fields if not isinstance(field.numeric, Buckets)]
        if sorted(needed) != sorted(vocabularies):
            raise BundleError(f"vocabularies: got {sorted(vocabularies)}, the schema needs {sorted(needed)}")
        self.schema = schema
        self.vocabularies = dict(vocabularies)
        self._encoders = {field.name: _encoder_of(field, vocabularies) for field in schema.fields}
        self._context = tuple(field.name for field in schema.context)
        self._context_tables = tuple(self._encoders[name].table for name in self._context)
        computed = [(i, name) for i, name in enumerate(self._context) if self._context_tables[i] is None]
        self._computed_context = tuple((i, name, self._encoders[name].encode) for i, name in computed)

    @property
    def sizes(self) -> list[int]:
        """Number of ids per field, in schema order: the heights of the embedding tables."""
        return [self._encoders[field.name].size for field in self.schema.fields]

    def encode_column(self, name: str, column_N: Sequence[Raw]) -> Ids:
        """Ids [N] of one field's values; raises BadValue."""
        ids_N = np.empty(len(column_N), np.int32)
        self._encoders[name].encode(column_N, ids_N)
        return ids_N

    def encode(self, fields: Sequence[Field], columns: Mapping[str, Sequence[Raw]]) -> Ids:
        """Ids [N, len(fields)], one column per field in the order given.

        Raises:
            BadValue: a value of a wrong type.
            KeyError: a field has no column.
            ValueError: columns of different lengths.
        """
        lengths = {len(columns[field.name]) for field in fields}
        if len(lengths) > 1:
            found = {field.name: len(columns[field.name]) for field in fields}
            raise ValueError(f"columns differ in length: {found}")
        ids_NF = np.empty((lengths.pop() if lengths else 0, len(fields)), np.int32)
        for position, field in enumerate(fields):
            self._encoders[field.name].encode(columns[field.name], ids_NF[:, position])
        return ids_NF

    def encode_context(self, context: Mapping[str, Raw]) -> Ids:
        """Ids [1, Fc] of one context; a BadValue raised here has no position.

        Raises:
            BadValue: a value of a wrong type.
            KeyError: a field has no value.
        """
        ids_F = np.empty(len(self._context), np.int32)
        place = encode_row(self._context_tables, self._context, context, ids_F, PADDING_ID, UNKNOWN_ID)
        try:
            if place != FINE:
                name = self._context[place]
                self._encoders[name].encode([context[name]], ids_F[place : place + 1])
            for place, name, encode in self._computed_context:
                encode([context[name]], ids_F[place : place + 1])
        except BadValue as bad:
            raise BadValue(field=bad.field, position=None, got=bad.got, expected=bad.expected) from None
        return ids_F[None]


def _encoder_of(field: Field, vocabularies: Mapping[str, Vocabulary]) -> FieldEncoder:
    match field.numeric:
        case None:
            return CategoricalEncoder(field, vocabularies[field.name])
        case Category() as rule:
            return NumericCategoryEncoder(field, rule, vocabularies[field.name])
        case Buckets() as rule:
            return BucketEncoder(field, rule)


def _finite(name: str, column_N: Sequence[Raw]) -> Sequence[float | None]:
    """The column if every value is a finite number or None; raises BadValue at the first that is not."""
    if not set(map(type, column_N)) <= _NUMERIC_TYPES:
        wrong = next(i for i, value in enumerate(column_N) if type(value) not in _NUMERIC_TYPES)
        raise _bad_type(name, column_N, wrong, "a finite number or null")
    numbers_N: Sequence[float | None] = column_N  # type: ignore[assignment]
    position = _first_not_finite(numbers_N)
    if position is not None:
        got = f"{column_N[position]!r:.80}"
        raise BadValue(field=name, position=position, got=got, expected="a finite number or null")
    return numbers_N


def _first_not_finite(numbers_N: Sequence[float | None]) -> int | None:
    position = 0
    try:
        for position, number in enumerate(numbers_N):
            if number is not None and not math.isfinite(number):
                return position
    except OverflowError:  # an integer beyond the range of a float
        return position
    return None


def _bad_type(name: str, column_N: Sequence[Raw], position: int, expected: str) -> BadValue:
    value = column_N[position]
    return BadValue(field=name, position=position, got=f"{type(value).__name__} {value!r:.80}", expected=expected)
