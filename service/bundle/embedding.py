"""embedding.npy: the embeddings of all fields as one mapped table, for the graph and the native scorer alike.

The graph in model.onnx refers to the file instead of holding the numbers, so that they are on disk once, in memory
once, and once for all processes that serve the same bundle. They are stored as float32, as float16, or as int8 with
one scale per row in embedding_scale.npy; a scorer turns the rows it gathers into float32, no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.bundle.errors import BundleError

EMBEDDING = "embedding.npy"
EMBEDDING_SCALE = "embedding_scale.npy"
TABLE_FILES = frozenset({EMBEDDING, EMBEDDING_SCALE})
STORED_AS = ("float32", "float16", "int8")
Numbers = npt.NDArray[np.float32]

_ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingTable:
    """One table for all fields, in schema order. Raises BundleError for arrays of other kinds or shapes.

    The embedding of row v is rows[v], for int8 rows[v] · scale[v]. Everything is finite and in C order.
    """

    rows_VD: npt.NDArray[Any]
    """Id i of field f is row i + the number of ids of all fields before f."""
    scale_V1: Numbers | None = None
    """Of int8 rows, and of no others."""

    def __post_init__(self) -> None:
        rows_VD, scale_V1 = self.rows_VD, self.scale_V1
        _check(EMBEDDING, rows_VD, " or ".join(STORED_AS), known=rows_VD.dtype in map(np.dtype, STORED_AS))
        if (scale_V1 is not None) != (rows_VD.dtype == np.int8):
            found = "no scales" if scale_V1 is None else "scales"
            raise BundleError(f"{EMBEDDING_SCALE}: {found} for rows of {rows_VD.dtype}, int8 has them; export again")
        if scale_V1 is not None:
            one_each = scale_V1.dtype == np.float32 and scale_V1.shape == (len(rows_VD), 1)
            _check(EMBEDDING_SCALE, scale_V1, f"one float32 for each of {len(rows_VD)} rows", known=one_each)

    @property
    def stored_as(self) -> str:
        """`float32`, `float16` or `int8`."""
        return str(self.rows_VD.dtype)

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """File name → array. The graph calls the initializer that is in a file by the file's name."""
        scales = {} if self.scale_V1 is None else {EMBEDDING_SCALE: self.scale_V1}
        return {EMBEDDING: self.rows_VD, **scales}

    @property
    def nbytes(self) -> int:
        """Bytes of rows and scales."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.rows_VD.shape[1])

    def embeddings(self) -> Numbers:
        """All embeddings as float32 [V, D], equal to the bit to what a scorer makes of the rows it gathers."""
        rows_VD: Numbers = self.rows_VD.astype(np.float32, copy=False)
        return rows_VD if self.scale_V1 is None else rows_VD * self.scale_V1

    def check_fits(self, sizes: Sequence[int]) -> None:
        """Raise BundleError unless there is a row for every id of fields with so many ids."""
        if len(self.rows_VD) != sum(sizes):
            raise BundleError(
                f"{EMBEDDING}: {len(self.rows_VD)} rows, the vocabularies have {sum(sizes)} ids; export again"
            )

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> EmbeddingTable:
        """Inverse of `arrays`; raises BundleError for scales without rows."""
        if EMBEDDING not in arrays:
            raise BundleError(f"{EMBEDDING_SCALE}: there is no {EMBEDDING} beside it; export again")
        return cls(rows_VD=arrays[EMBEDDING], scale_V1=arrays.get(EMBEDDING_SCALE))


def _check(file: str, array: npt.NDArray[Any], expected: str, *, known: bool) -> None:
    """Raise BundleError for another type or shape, an array not in C order, or a number that is not finite."""
    if not known or array.ndim != 2 or 0 in array.shape:  # noqa: PLR2004 - rows and columns
        got = f"{array.dtype} of shape {array.shape}"
        raise BundleError(f"{file}: got {got}, expected {expected} with 2 axes; export again")
    if not array.flags.c_contiguous:
        raise BundleError(f"{file}: the rows do not lie one after another; export again")
    if not _finite(array):
        raise BundleError(f"{file}: has numbers that are not finite; train or export again")


def _finite(numbers: npt.NDArray[Any]) -> bool:
    """Whether all are, looking at some rows at a time: the answer for a whole table would be a large array itself."""
    if numbers.dtype.kind != "f":
        return True
    starts = range(0, len(numbers), _ROWS_AT_A_TIME)
    return all(bool(np.isfinite(numbers[start : start + _ROWS_AT_A_TIME]).all()) for start in starts)
