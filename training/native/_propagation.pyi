from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.int16] | npt.NDArray[Any] | None

def forward(
    base: Numbers, messages: Numbers, state: Numbers, sums: Numbers, threads: int, level: str | None = None, /
) -> None: ...
def backward(
    base: Numbers,
    messages: Numbers,
    grad_state: Numbers,
    grad_sums: Numbers,
    grad_base: Numbers,
    grad: Numbers,
    threads: int,
    level: str | None = None,
    /,
) -> None: ...
def levels() -> list[str]: ...
