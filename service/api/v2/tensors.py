"""One input tensor → ids [N, F] int32, each checked against its field's table.

    {"name", "shape": [N, F], "datatype": "INT32" or "INT64", and exactly one of
     "data": [[id, …], …] or [id, …]                          JSON, nested or flat, row by row
     "parameters": {"binary_data_size": bytes}}               raw little-endian, row by row, after the JSON of the body

Binary INT32 ids are a view of the body: they are copied only where they start off a multiple of four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from service.api.problems import Problem, ProblemError, shown
from service.bundle import Ids
from service.loops import FINE, check_ids

CONTEXT_IDS = "context_ids"
CANDIDATE_IDS = "candidate_ids"
DATATYPES: Mapping[str, np.dtype[Any]] = {"INT32": np.dtype("<i4"), "INT64": np.dtype("<i8")}
"""Datatype → how its elements lie in a binary tensor."""

_UNSIGNED: Mapping[int, type[np.unsignedinteger[Any]]] = {4: np.uint32, 8: np.uint64}


class InputReader:
    """Reads one input of one model.

    Args:
        name: the input's name.
        fields: names of its F fields, in order.
        sizes: number of ids per field.
        max_rows: most rows; None for exactly one.
    """

    def __init__(self, name: str, fields: Sequence[str], sizes: Sequence[int], max_rows: int | None) -> None:
        self.name = name
        self.fields = tuple(fields)
        self._sizes = tuple(sizes)
        self._max_rows = max_rows
        self._sizes_F = {width: np.array(sizes, dtype) for width, dtype in _UNSIGNED.items()}
        self._sizes_per_field = np.array(sizes, np.int64)

    @property
    def shape(self) -> list[int]:
        """The shape as metadata states it: -1 where any number goes."""
        return [1 if self._max_rows is None else -1, len(self.fields)]

    def from_json(self, tensor: Mapping[str, Any]) -> Ids:
        """Ids [N, F] from the tensor's `data`; raises ProblemError."""
        self._datatype(tensor)
        rows = self._rows(tensor)
        values = self._flat(tensor.get("data"), rows)
        ids_NF = np.empty((rows, len(self.fields)), np.int32)
        place = check_ids(values, self._sizes_per_field, ids_NF)
        if place != FINE:
            raise self._bad_id(place, values[place])
        return ids_NF

    def from_bytes(self, tensor: Mapping[str, Any], body: bytes, offset: int, size: int) -> Ids:
        """Ids [N, F] from the `size` bytes of the body at `offset`; raises ProblemError."""
        dtype = self._datatype(tensor)
        rows = self._rows(tensor)
        count = rows * len(self.fields)
        if size != count * dtype.itemsize:
            expected = f"{count * dtype.itemsize}, as {count} elements of {tensor['datatype']} take"
            raise self._malformed(f"has binary_data_size {size}", expected)
        if size > len(body) - offset:
            raise self._malformed(f"has {len(body) - offset} bytes left in the body", f"its binary_data_size {size}")
        if count == 0:
            return np.empty((rows, 0), np.int32)
        return self._checked(np.frombuffer(body, dtype, count, offset).reshape(rows, -1))

    def absent(self) -> Ids:
        """Ids [1, 0] of an input without fields, which need not be sent; raises ProblemError for any other."""
        if self.fields:
            raise ProblemError(Problem.MISSING_FIELD, f"inputs lacks {self.name}, expected it with shape {self.shape}")
        return np.empty((1, 0), np.int32)

    def _datatype(self, tensor: Mapping[str, Any]) -> np.dtype[Any]:
        datatype = tensor.get("datatype")
        dtype = DATATYPES.get(datatype) if type(datatype) is str else None
        if dtype is None:
            raise self._malformed(f"has datatype {shown(datatype)}", " or ".join(DATATYPES))
        return dtype

    def _rows(self, tensor: Mapping[str, Any]) -> int:
        """N of a shape [N, F]; nothing is multiplied or allocated before it is known to be within bounds."""
        shape = tensor.get("shape")
        rows_expected = "1" if self._max_rows is None else f"1 to {self._max_rows}"
        expected = f"[N, {len(self.fields)}], N {rows_expected}"
        got = f"{shape!r:.80}" if type(shape) is list else shown(shape)
        if type(shape) is not list or [type(size) for size in shape] != [int, int] or shape[1] != len(self.fields):
            raise self._malformed(f"has shape {got}", expected)
        rows: int = shape[0]
        if self._max_rows is not None and rows > self._max_rows:
            detail = f"{self.name} has shape {got}, expected {expected}; split the request"
            raise ProblemError(Problem.TOO_MANY_CANDIDATES, detail)
        if rows < 1 or (self._max_rows is None and rows != 1):
            raise self._malformed(f"has shape {got}", expected)
        return rows

    def _flat(self, data: object, rows: int) -> list[Any]:
        """The N·F values of nested or flat data."""
        fields = len(self.fields)
        if type(data) is not list:
            raise self._malformed(f"has data {shown(data)}", "an array")
        if not data or type(data[0]) is not list:
            if len(data) != rows * fields:
                raise self._malformed(f"has {len(data)} values", f"{rows * fields}, as its shape says")
            return data
        if len(data) != rows:
            raise self._malformed(f"has {len(data)} rows", f"{rows}, as its shape says")
        for position, row in enumerate(data):
            if type(row) is not list or len(row) != fields:
                got = f"{len(row)} values" if type(row) is list else shown(row)
                raise self._malformed(f"has {got} at position {position}", f"{fields} values in each row")
        return list(chain.from_iterable(data))

    def _checked(self, ids_NF: npt.NDArray[Any]) -> Ids:
        """The ids as aligned int32, once each is known to be in [0, size of its field)."""
        width = ids_NF.dtype.itemsize
        unsigned_NF = ids_NF.view(_UNSIGNED[width])  # so that one comparison finds negative ids too
        bad_NF = unsigned_NF >= self._sizes_F[width]
        if bad_NF.any():
            place = int(np.argmax(bad_NF))
            raise self._bad_id(place, int(ids_NF.flat[place]))
        return ids_NF if width == 4 and ids_NF.flags.aligned else ids_NF.astype(np.int32)  # noqa: PLR2004 - bytes

    def _bad_id(self, place: int, value: object) -> ProblemError:
        """The error for the first of N·F values that is no id of its field."""
        row, field = divmod(place, len(self.fields))
        name, got = self.fields[field], shown(value)
        expected = f"an id from 0 to {self._sizes[field] - 1}, 1 for an unknown value"
        detail = f"{self.name}[{row}], field {name!r}: got {got}, expected {expected}"
        return ProblemError(Problem.BAD_VALUE, detail, field=name, position=row, got=got, expected=expected)

    def _malformed(self, got: str, expected: str) -> ProblemError:
        return ProblemError(Problem.MALFORMED_REQUEST, f"{self.name} {got}, expected {expected}")
