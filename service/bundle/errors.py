"""What goes wrong at the contract: a bad bundle, a bad raw value, an unknown item."""

from __future__ import annotations


class BundleError(ValueError):
    """A bundle, or a part of one, is not what its manifest and format say."""


class BadValue(ValueError):  # noqa: N818 - reads as the thing it is: `raise BadValue(...)`
    """A raw value has a type or range its field does not take. An unknown value is not an error.

    Attributes:
        field: name of the field.
        position: index in the column, 0-based; None when the column as a whole is wrong.
        got: the value, in repr.
        expected: what the field takes.
    """

    def __init__(self, *, field: str, position: int | None, got: str, expected: str) -> None:
        self.field = field
        self.position = position
        self.got = got
        self.expected = expected
        where = f"field {field!r}" if position is None else f"field {field!r}, position {position}"
        super().__init__(f"{where}: got {got}, expected {expected}")


class UnknownItem(KeyError):  # noqa: N818 - as BadValue
    """An item id is not in the catalogue."""

    def __init__(self, *, position: int, item: object) -> None:
        self.position = position
        self.item = item
        super().__init__(f"item at position {position} is not in the catalogue: got {item!r}")
