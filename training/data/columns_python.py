"""`Columns` in Python, for machines without a C compiler: what each method of the compiled one means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

_FINE, _SHORT, _LONG, _QUOTE = 0, -1, -2, -3


class Columns:
    """The distinct texts of columns, as they are read."""

    def __init__(self, tables: int) -> None:
        if tables < 1:
            raise ValueError(f"tables: got {tables}, expected at least 1")
        self._codes: list[dict[bytes, int]] = [{b"": 0} for _ in range(tables)]
        self._counts = [np.zeros(1, np.int64) for _ in range(tables)]

    def read(self, block: bytes, separator: bytes, quoted: bool, tables: Codes, out: Codes) -> tuple[int, int]:  # noqa: FBT001 - as the compiled one
        """Write the codes of each line's columns to out[tables[column]], tables of -1 passed over.

        Returns:
            The rows read, and 0 or what is wrong with the next one: -1 too few columns, -2 too many, -3 quotes.
        """
        if not block.endswith(b"\n"):
            raise ValueError("read: expected a block that ends with a line end")
        rows, wrong = [], _FINE
        cut = _quoted(block, separator, len(tables)) if quoted else _plain(block, separator, len(tables))
        for values in cut:
            if isinstance(values, int):
                wrong = values
                break
            rows.append(values)
        for column, table in enumerate(tables.tolist()):
            if table >= 0:
                self._add(table, [values[column] for values in rows], out)
        return len(rows), wrong

    def texts(self, table: int, codes: Codes) -> list[str]:
        """The texts of int32 codes [N]."""
        known = list(self._codes[table])
        return [known[code].decode() for code in codes.tolist()]

    def size(self, table: int) -> int:
        """1 + the distinct texts."""
        return len(self._codes[table])

    def counts(self, table: int, out: Counts) -> None:
        """Write rows per code to int64 [size]."""
        out[:] = self._counts[table]

    def _add(self, table: int, column: list[bytes], out: Codes) -> None:
        codes = self._codes[table]
        out[table, : len(column)] = [codes.setdefault(value, len(codes)) for value in column]
        counts = np.bincount(out[table, : len(column)], minlength=len(codes))
        counts[: len(self._counts[table])] += self._counts[table]
        self._counts[table] = counts


def _plain(block: bytes, separator: bytes, columns: int) -> Iterator[list[bytes] | int]:
    """The values of each line, or what is wrong with it."""
    for line in block[:-1].split(b"\n"):
        values = line.removesuffix(b"\r").split(separator)
        yield values if len(values) == columns else _SHORT if len(values) < columns else _LONG


def _quoted(block: bytes, separator: bytes, columns: int) -> Iterator[list[bytes] | int]:
    """As `_plain`, where values may stand in quotes, with separators and line ends in them and quotes doubled."""
    value, at = _value(separator), 0
    while at < len(block):
        values: list[bytes] = []
        while True:
            found = value.match(block, at)
            if found is None:
                yield _QUOTE
                return
            inside, plain, end = found.groups()
            values.append(plain.removesuffix(b"\r") if inside is None and end != separator else plain or b"")
            if inside is not None:
                values[-1] = inside.replace(b'""', b'"')
            at = found.end()
            if end == separator and len(values) == columns:
                yield _LONG
                return
            if end != separator:
                break
        yield values if len(values) == columns else _SHORT


@cache
def _value(separator: bytes) -> re.Pattern[bytes]:
    """A value in quotes or a plain one, and what ends it."""
    mark = re.escape(separator)
    return re.compile(rb'(?:"((?:[^"]|"")*)"\r?(?=' + mark + rb"|\n)|((?!\")[^\n" + mark + rb"]*))(" + mark + rb"|\n)")
