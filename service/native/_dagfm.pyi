from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from service.bundle import Ids

Numbers: TypeAlias = npt.NDArray[np.float32]

class Model:
    def __new__(
        cls,
        *,
        embedding: npt.NDArray[np.float32 | np.float16 | np.int8],
        scale: Numbers | None,
        sizes: npt.NDArray[np.int64],
        connection: Numbers,
        p: Numbers,
        q: Numbers | None,
        readout: Numbers,
        bias: float,
        context_fields: int,
        level: str | None = None,
    ) -> Self: ...
    @property
    def level(self) -> str: ...
    def score(self, context_ids: Ids, candidate_ids: Ids, logits: Numbers, /) -> None: ...

def levels() -> list[str]: ...
