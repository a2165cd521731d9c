"""embedding.npy: the embeddings of all fields as one mapped table, for the graph and the native scorer alike.

The graph in model.onnx refers to the file instead of holding the numbers, so that they are on disk once, in memory
once, and once for all processes that serve the same bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.bundle.errors import BundleError

EMBEDDING = "embedding.npy"
TABLE_FILES = frozenset({EMBEDDING})
Numbers = npt.NDArray[np.float32]

_ROWS_AT_A_TIME = 1 << 16


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingTable:
    """One table for all fields, in schema order. Raises BundleError for anything but finite float32 in C order."""

    rows_VD: Numbers
    """Id i of field f is row i + the number of ids of all fields before f."""

    def __post_init__(self) -> None:
        rows_VD = self.rows_VD
        if rows_VD.dtype != np.float32 or rows_VD.ndim != 2 or 0 in rows_VD.shape:  # noqa: PLR2004 - V and D
            got = f"{rows_VD.dtype} of shape {rows_VD.shape}"
            raise BundleError(f"{EMBEDDING}: got {got}, expected float32 with 2 axes; export again")
        if not rows_VD.flags.c_contiguous:
            raise BundleError(f"{EMBEDDING}: the rows do not lie one after another; export again")
        if not _finite(rows_VD):
            raise BundleError(f"{EMBEDDING}: has numbers that are not finite; train or export again")

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """File name → array. The graph calls the initializer that is in a file by the file's name."""
        return {EMBEDDING: self.rows_VD}

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.rows_VD.shape[1])

    def check_fits(self, sizes: Sequence[int]) -> None:
        """Raise BundleError unless there is a row for every id of fields with so many ids."""
        if len(self.rows_VD) != sum(sizes):
            raise BundleError(
                f"{EMBEDDING}: {len(self.rows_VD)} rows, the vocabularies have {sum(sizes)} ids; export again"
            )

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> EmbeddingTable:
        """Inverse of `arrays`."""
        return cls(rows_VD=arrays[EMBEDDING])


def _finite(numbers: npt.NDArray[Any]) -> bool:
    """Whether all are, looking at some rows at a time: the answer for a whole table would be a large array itself."""
    starts = range(0, len(numbers), _ROWS_AT_A_TIME)
    return all(bool(np.isfinite(numbers[start : start + _ROWS_AT_A_TIME]).all()) for start in starts)
