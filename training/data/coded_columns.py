"""The columns of a log that was read as codes: each distinct text is encoded once, by the very encoder that serves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.bundle import Encoder, Field, Ids
from training.data.click_log import DataError, Rows, Split
from training.data.coded_rows import CodedRows, Codes

Raw = str | int | float | None
Read = Callable[[str], Raw]
"""The text of a value → the raw value a request would hold; ValueError says what was expected."""

Parts = npt.NDArray[np.uint8]

_TEXTS_AT_ONCE = 1 << 20
_THREADS = 2
_AHEAD = 4
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a field's values come from: a column, and how its text is read (as it is, if None)."""

    column: str
    read: Read | None = None


class CodedColumns:
    """Fields over coded rows.

    Args:
        rows: the rows, read.
        sources: for each field its column.
    """

    def __init__(self, rows: CodedRows, sources: Mapping[str, Source]) -> None:
        self.rows = rows
        self._sources = sources

    def encoded(self, encoder: Encoder, split: Split) -> Iterator[tuple[str, Ids]]:
        """(part, ids [n, F]) block by block; the rows of a part come in the order of the log."""
        fields = encoder.schema.fields
        ids_of = [self._ids_of(encoder, field.name) for field in fields]
        at = [self.rows.index(self._sources[field.name].column) for field in fields]
        part_N = part_of_rows(split, self.rows.rows)
        running: deque[Future[list[tuple[str, Ids]]]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            for first, codes_CN in self.rows.blocks():
                parts = part_N[first : first + codes_CN.shape[1]]
                running.append(pool.submit(_look_up, ids_of, at, codes_CN, parts))
                if len(running) > _AHEAD:
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()

    def raw(self, fields: Sequence[Field], rows: Rows) -> dict[str, list[Raw]]:
        """The raw values of some rows, per field."""
        return {field.name: self.raw_column(field.name, rows) for field in fields}

    def raw_column(self, name: str, rows: Rows) -> list[Raw]:
        """The raw values of some rows of one field."""
        column = self._sources[name].column
        found: dict[int, int] = {}
        wanted = np.unique(rows)
        for first, codes_CN in self.rows.blocks():
            inside = wanted[(wanted >= first) & (wanted < first + codes_CN.shape[1])]
            found |= dict(zip(inside.tolist(), codes_CN[self.rows.index(column)][inside - first].tolist(), strict=True))
        return self.raw_values(name, np.array([found[int(row)] for row in rows], np.int32))

    def raw_values(self, name: str, codes: Codes) -> list[Raw]:
        """The raw values of some codes of a field's column; raises DataError where one cannot be read."""
        source = self._sources[name]
        return read_texts(self.rows, source.column, codes, source.read)

    def _ids_of(self, encoder: Encoder, name: str) -> Ids:
        """Code → id, by the encoder: as many look-ups as there are distinct texts."""
        size = self.rows.size(self._sources[name].column)
        ids = np.empty(size, np.int32)
        for start in range(0, size, _TEXTS_AT_ONCE):
            codes = np.arange(start, min(start + _TEXTS_AT_ONCE, size), dtype=np.int32)
            ids[start : start + len(codes)] = encoder.encode_column(name, self.raw_values(name, codes))
        return ids


def read_texts(rows: CodedRows, column: str, codes: Codes, read: Read | None) -> list[Raw]:
    """What `read` makes of the texts of some codes, None of the empty one.

    Raises:
        DataError: naming file, line and what `read` says was expected.
    """
    texts = rows.texts(column, codes)
    if read is None:
        return [text or None for text in texts]
    values: list[Raw] = []
    for code, text in zip(codes.tolist(), texts, strict=True):
        try:
            values.append(read(text) if text else None)
        except ValueError as error:
            place = rows.place_of(column, code)
            raise DataError(f"{place}: found {text[:80]!r} as {column}, expected {error}") from error
    return values


def part_of_rows(split: Split, rows: int) -> Parts:
    """For each row the index of its part: 0 train, 1 validation, 2 test; 3 for a row in none."""
    part_N = np.full(rows, len(_PARTS), np.uint8)
    for number, part in enumerate(_PARTS):
        part_N[getattr(split, part)] = number
    return part_N


def _look_up(ids_of: Sequence[Ids], at: Sequence[int], codes_CN: Codes, part_N: Parts) -> list[tuple[str, Ids]]:
    """(part, ids [n, F]) of one block."""
    ids_FN = np.empty((len(at), codes_CN.shape[1]), np.int32)
    for row_N, ids, column in zip(ids_FN, ids_of, at, strict=True):
        np.take(ids, codes_CN[column], out=row_N, mode="clip")
    ids_NF = np.ascontiguousarray(ids_FN.T)
    return [(part, ids_NF.take(np.flatnonzero(part_N == number), axis=0)) for number, part in enumerate(_PARTS)]
