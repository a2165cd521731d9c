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

Raw = str | int | float | None
Ids = npt.NDArray[np.int32]

_CATEGORICAL_TYPES: frozenset[type] = frozenset({str, int, NoneType})
_NUMERIC_TYPES: frozenset[type] = frozenset({int, float, NoneType})


class FieldEncoder(Protocol):
    """Encodes the column of one field."""

    size: int
    """Number of ids: every id is in [0, size)."""

    def encode(self, column_N: Sequence[Raw]) -> Ids:
        """Ids [N]; raises BadValue at the first value of a wrong type."""
        ...


class CategoricalEncoder:
    """Strings and integers; an integer is looked up by its decimal text, so 42 and "42" are one value."""

    def __init__(self, field: Field, vocabulary: Vocabulary) -> None:
        self.size = len(vocabulary)
        self._name = field.name
        self._ids: dict[Raw, int] = {None: PADDING_ID, "": PADDING_ID}
        self._ids.update(vocabulary.ids)

    def encode(self, column_N: Sequence[Raw]) -> Ids:
        """Ids [N]; raises BadValue for a float, a boolean, a list or an object."""
        types = set(map(type, column_N))
        if not types <= _CATEGORICAL_TYPES:
            raise _bad_type(self._name, column_N, _CATEGORICAL_TYPES, "a string, an integer or null")
        if int in types:
            column_N = [str(value) if type(value) is int else value for value in column_N]
        lookup = self._ids.get
        return np.array([lookup(value, UNKNOWN_ID) for value in column_N], np.int32)


class NumericCategoryEncoder:
    """Numbers mapped to an integer by a named transform, then looked up like any other value."""

    def __init__(self, field: Field, rule: Category, vocabulary: Vocabulary) -> None:
        self.size = len(vocabulary)
        self._name = field.name
        self._transform = TRANSFORMS[rule.transform]
        self._ids = vocabulary.ids

    def encode(self, column_N: Sequence[Raw]) -> Ids:
        """Ids [N]; raises BadValue for what is not a finite number."""
        numbers = _finite(self._name, column_N)
        return np.array([self._id_of(number) for number in numbers], np.int32)

    def _id_of(self, number: float | None) -> int:
        if number is None:
            return PADDING_ID
        return self._ids.get(str(self._transform(number)), UNKNOWN_ID)


class BucketEncoder:
    """Numbers mapped to 2 + the number of edges at or below them."""

    def __init__(self, field: Field, rule: Buckets) -> None:
        self.size = FIRST_VALUE_ID + len(rule.edges) + 1
        self._name = field.name
        self._edges = np.array(rule.edges, np.float64)

    def encode(self, column_N: Sequence[Raw]) -> Ids:
        """Ids [N]; raises BadValue for what is not a finite number."""
        numbers = _finite(self._name, column_N)
        filled_N = np.array([math.nan if number is None else number for number in numbers], np.float64)
        ids_N = FIRST_VALUE_ID + np.searchsorted(self._edges, filled_N, side="right")
        return np.where(np.isnan(filled_N), PADDING_ID, ids_N).astype(np.int32)


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

    @property
    def sizes(self) -> list[int]:
        """Number of ids per field, in schema order: the heights of the embedding tables."""
        return [self._encoders[field.name].size for field in self.schema.fields]

    def encode_column(self, name: str, column_N: Sequence[Raw]) -> Ids:
        """Ids [N] of one field's values; raises BadValue."""
        return self._encoders[name].encode(column_N)

    def encode(self, fields: Sequence[Field], columns: Mapping[str, Sequence[Raw]]) -> Ids:
        """Ids [N, len(fields)], one column per field in the order given.

        Raises:
            BadValue: a value of a wrong type.
            KeyError: a field has no column.
            ValueError: columns of different lengths.
        """
        lengths = {field.name: len(columns[field.name]) for field in fields}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns differ in length: {lengths}")
        rows = next(iter(lengths.values()), 0)
        ids_NF = np.empty((rows, len(fields)), np.int32)
        for position, field in enumerate(fields):
            ids_NF[:, position] = self.encode_column(field.name, columns[field.name])
        return ids_NF

    def encode_context(self, context: Mapping[str, Raw]) -> Ids:
        """Ids [1, Fc] of one context; a BadValue raised here has no position."""
        try:
            fields = self.schema.context
            return self.encode(fields, {field.name: [context[field.name]] for field in fields}).reshape(1, -1)
        except BadValue as bad:
            raise BadValue(field=bad.field, position=None, got=bad.got, expected=bad.expected) from None


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
        raise _bad_type(name, column_N, _NUMERIC_TYPES, "a finite number or null")
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


def _bad_type(name: str, column_N: Sequence[Raw], allowed: frozenset[type], expected: str) -> BadValue:
    position = next(i for i, value in enumerate(column_N) if type(value) not in allowed)
    value = column_N[position]
    return BadValue(field=name, position=position, got=f"{type(value).__name__} {value!r:.80}", expected=expected)
