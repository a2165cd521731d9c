"""Arrays as they come in: checked once, so that no NaN walks through a formula."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.experiment.statistics.errors import StatisticsError

Floats = NDArray[np.float64]


def numbers(name: str, values: ArrayLike) -> NDArray[Any]:
    """One axis of finite numbers: int64 if they are whole by type, float64 otherwise.

    Raises:
        StatisticsError: another shape, or NaN or infinity among them.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise StatisticsError(f"{name} has shape {array.shape}: expected one axis")
    if array.dtype.kind in "bui":
        return array.astype(np.int64)
    array = array.astype(np.float64)
    if not (finite := np.isfinite(array)).all():
        raise StatisticsError(
            f"{name}: {np.count_nonzero(~finite)} of {array.size} are not finite; leave them out first"
        )
    return array


def same_length(**arrays: NDArray[Any]) -> None:
    """Refuse arrays that do not meet element by element.

    Raises:
        StatisticsError: naming each and its length.
    """
    if len({array.shape for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {array.size}" for name, array in arrays.items())
        raise StatisticsError(f"lengths differ: {lengths}; expected one number each")
