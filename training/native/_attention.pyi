from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.int16] | npt.NDArray[Any]

def forward(
    projected: Numbers,
    out: Numbers,
    fields: int,
    heads: int,
    size: int,
    halved: bool,
    threads: int,
    level: str | None = None,
    /,
) -> None: ...
def backward(
    projected: Numbers,
    out: Numbers,
    grad_out: Numbers,
    grad: Numbers,
    fields: int,
    heads: int,
    size: int,
    halved: bool,
    threads: int,
    level: str | None = None,
    /,
) -> None: ...
def levels() -> list[str]: ...
