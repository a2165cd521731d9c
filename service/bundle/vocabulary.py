"""Vocabulary of one field: raw value → id. Id 0 is padding/missing, id 1 unknown, ids from 2 are values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from service.bundle.errors import BundleError
from service.loops import Table

PADDING_ID = 0
UNKNOWN_ID = 1
FIRST_VALUE_ID = 2


@dataclass(frozen=True)
class Vocabulary:
    """The known values of one field; a value's id is its position + 2.

    Raises:
        BundleError: a value twice, an empty value (that is "missing"), or one that is no string.
    """

    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not all(type(value) is str and value for value in self.values):
            raise BundleError("vocabulary: every value must be a non-empty string")
        try:
            "".join(self.values).encode()
        except UnicodeEncodeError as error:
            raise BundleError(f"vocabulary: a value is no text that UTF-8 can write: {error.reason}") from error
        distinct = len(set(self.values))
        if distinct != len(self.values):
            raise BundleError(f"vocabulary: {len(self.values) - distinct} value(s) occur more than once")

    @classmethod
    def fit(cls, counts: Mapping[str, int], *, min_count: int = 1) -> Vocabulary:
        """Values seen at least `min_count` times, most frequent first, ties by value: the same on every run."""
        kept = sorted(value for value, count in counts.items() if count >= min_count and value)
        kept.sort(key=counts.__getitem__, reverse=True)  # stable: ties stay in the order of their values
        return cls(tuple(kept))

    @classmethod
    def of(cls, values: Iterable[str]) -> Vocabulary:
        """The distinct non-empty values in their order of first appearance."""
        return cls(tuple(value for value in dict.fromkeys(values) if value))

    @cached_property
    def table(self) -> Table:
        """Value → id, prepared for looking up columns."""
        return Table(self.values, FIRST_VALUE_ID)

    def __len__(self) -> int:
        """Number of ids, padding and unknown included: the height of the field's embedding table."""
        return len(self.values) + FIRST_VALUE_ID
