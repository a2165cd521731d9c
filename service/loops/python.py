"""The loops in Python, for machines without a C compiler: what each function of `_encode` means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from service.native._encode import Counts, Ids, Numbers

_FINE = -1
_NONE = type(None)
_TYPES = frozenset({str, int, _NONE})
_NO_OVERFLOW = 700.0
"""exp of more overflows float64; exp of this is already a probability of 0 in float32."""


class Table:
    """texts[i] → first + i; each text once.

    Raises:
        ValueError: a text twice.
    """

    def __init__(self, texts: Sequence[str], first: int) -> None:
        self._numbers: dict[object, int] = {text: first + i for i, text in enumerate(texts)}
        self._first = first
        if len(self._numbers) != len(texts):
            raise ValueError(f"texts: {len(texts) - len(self._numbers)} occur a second time, expected each text once")

    def encode(self, column_N: Sequence[object], out_N: Ids, missing: int, unknown: int) -> int:
        """Write the numbers of strings, integers (by their decimal text), None and "" (missing)."""
        types = set(map(type, column_N))
        if not types <= _TYPES:
            return next(i for i, value in enumerate(column_N) if type(value) not in _TYPES)
        if int in types:
            column_N = [str(value) if type(value) is int else value for value in column_N]
        get = self._numbers.get
        out_N[:] = [missing if value is None or value == "" else get(value, unknown) for value in column_N]
        return _FINE

    def gather(self, items_N: Sequence[object], rows_IF: Ids, out_NF: Ids) -> int:
        """Copy the rows of the items; the position of the first that is not here."""
        numbers_N = np.empty(len(items_N), np.int32)
        known = [item if type(item) in (str, int) else None for item in items_N]
        self.encode(known, numbers_N, -1, -1)
        absent_N = numbers_N < 0
        if absent_N.any():
            return int(np.argmax(absent_N))
        np.take(rows_IF, numbers_N - self._first, axis=0, out=out_NF)
        return _FINE


def encode_row(  # noqa: PLR0917 - the order of the compiled one
    tables: tuple[Table | None, ...],
    names: tuple[str, ...],
    row: Mapping[str, object],
    out_F: Ids,
    missing: int,
    unknown: int,
) -> int:
    """Write the number of row[name] for each name and its table, passing over tables that are None."""
    for i, (table, name) in enumerate(zip(tables, names, strict=True)):
        if table is not None and table.encode([row[name]], out_F[i : i + 1], missing, unknown) != _FINE:
            return i
    return _FINE


def check_ids(values: list[object], sizes_F: Counts, out_NF: Ids) -> int:
    """Write ids [N·F], row by row; the position of the first that is no id of its field."""
    sizes = sizes_F.tolist()
    for position, value in enumerate(values):
        if type(value) is not int or not 0 <= value < sizes[position % len(sizes)]:
            return position
    out_NF[:] = np.array(values, np.int32).reshape(out_NF.shape)
    return _FINE


def check_column(values_N: list[object], size: int, out_N: Ids) -> int:
    """Write ids [N] of one field; the position of the first that is no id of it."""
    for position, value in enumerate(values_N):
        if type(value) is not int or not 0 <= value < size:
            return position
    out_N[:] = np.array(values_N, np.int32)
    return _FINE


def count(ids_NF: Ids, wanted: int, counts_F: Counts) -> int:
    """Write how often `wanted` occurs in each column; the sum."""
    np.sum(ids_NF == wanted, axis=0, out=counts_F)
    return int(counts_F.sum())


def count_up_to(values_N: Numbers, bounds_B: Numbers, counts_B: Counts) -> float:
    """Add how many values are at most each bound; the sum of the values."""
    counts_B += np.sort(values_N).searchsorted(bounds_B, side="right")
    return float(values_N.sum(dtype=np.float64))


def probabilities(logits_N: Numbers, slope: float, intercept: float, out_N: Numbers) -> int:
    """Write σ(slope · logit + intercept), computed in float64; the position of the first that is not finite."""
    calibrated_N = slope * logits_N.astype(np.float64) + intercept
    finite_N = np.isfinite(calibrated_N)
    if not finite_N.all():
        return int(np.argmin(finite_N))
    out_N[:] = 1.0 / (1.0 + np.exp(np.minimum(-calibrated_N, _NO_OVERFLOW)))
    return _FINE
