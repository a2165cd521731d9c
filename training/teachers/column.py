"""A teacher that came with the data: a column of its logits, whatever it was (boosted trees, last week's model)."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from training.data.prepare import Prepared
from training.sections import ConfigError
from training.teachers.base import Teacher


class ColumnTeacher(Teacher):
    """Knows the rows of the prepared data and no others. What it was trained on is not known: it counts as all.

    Raises:
        DataError: the prepared data have no such column; the message names those there are.
    """

    knows_all_rows = False

    def __init__(self, name: str, prepared: Prepared, column: str) -> None:
        digest = hashlib.sha256(f"{prepared.digest} {column}".encode()).hexdigest()
        super().__init__(name, digest)
        self._prepared, self._column = prepared, column
        prepared.teacher_logits(column, "train")  # a name that is none is refused now, not in the middle of a phase

    def score(self, ids_NF: Tensor) -> Tensor:
        """No logits: it is a column."""
        raise ConfigError(f"teacher {self.name!r} is a column of the data, it cannot judge {len(ids_NF)} other rows")

    def logits(self, part: str, ids_NF: Tensor) -> Tensor:
        """Logits float32 [N] of a part, whose rows must be all there."""
        logits_N = np.array(self._prepared.teacher_logits(self._column, part), np.float32)
        if len(logits_N) != len(ids_NF):
            raise ConfigError(
                f"teacher {self.name!r}: {len(logits_N)} logits for {part}, {len(ids_NF)} rows are asked about; a "
                "column answers for whole parts"
            )
        return torch.from_numpy(logits_N)

    def unseen(self, train: int, validation: int) -> Tensor:
        """None: nobody knows what it was trained on."""
        return torch.zeros(train + validation, dtype=torch.bool)
