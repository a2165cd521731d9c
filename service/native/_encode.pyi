from collections.abc import Mapping, Sequence
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

Ids: TypeAlias = npt.NDArray[np.int32]
Numbers: TypeAlias = npt.NDArray[np.float32]
Counts: TypeAlias = npt.NDArray[np.int64]

class Table:
    def __new__(cls, texts: Sequence[str], first: int) -> Self: ...
    def encode(self, column_N: Sequence[object], out_N: Ids, missing: int, unknown: int, /) -> int: ...
    def gather(self, items_N: Sequence[object], rows_IF: Ids, out_NF: Ids, /) -> int: ...

def encode_row(
    tables: tuple[Table | None, ...],
    names: tuple[str, ...],
    row: Mapping[str, object],
    out_F: Ids,
    missing: int,
    unknown: int,
    /,
) -> int: ...
def check_ids(values: list[object], sizes_F: Counts, out_NF: Ids, /) -> int: ...
def check_column(values_N: list[object], size: int, out_N: Ids, /) -> int: ...
def count(ids_NF: Ids, wanted: int, counts_F: Counts, /) -> int: ...
def probabilities(logits_N: Numbers, slope: float, intercept: float, out_N: Numbers, /) -> int: ...
