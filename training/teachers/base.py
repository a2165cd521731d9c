"""Teacher: a name, a digest, and a logit for every row. What it is inside is its own business.

Some are models of ours: only they have hints, embeddings to share, and can learn along with the student.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from training.checkpoint import Trained
from training.data.folds import Fold
from training.models.base import CTRModel
from training.objective import predict


class Teacher(ABC):
    """What a student learns from.

    Args:
        name: names it in metrics and messages.
        digest: SHA-256 of what it is; cached logits are known by it.
        fold: rows of training and validation that it has not seen; None: it was trained on the training rows.
    """

    model: CTRModel | None = None
    """The model inside, if it is one of ours."""
    knows_all_rows: bool = True
    """Whether it gives logits of any rows, or only of those of the prepared data."""

    def __init__(self, name: str, digest: str, fold: Fold | None = None) -> None:
        self.name = name
        self.digest = digest
        self.fold = fold

    @abstractmethod
    def score(self, ids_NF: Tensor) -> Tensor:
        """Logits float32 [N] of any rows."""

    def logits(self, part: str, ids_NF: Tensor) -> Tensor:  # noqa: ARG002 - a column of the data knows rows by part
        """Logits float32 [N] of `part` of the prepared data, whose ids are given."""
        return self.score(ids_NF)

    def unseen(self, train: int, validation: int) -> Tensor:
        """Which of the training and then the validation rows it was not trained on, bool [N]."""
        if self.fold is not None:
            return self.fold.held_out(train + validation)
        return torch.arange(train + validation) >= train


class ModelTeacher(Teacher):
    """A model of ours, frozen, in evaluation mode."""

    model: CTRModel

    def __init__(self, name: str, model: CTRModel, digest: str = "", fold: Fold | None = None) -> None:
        super().__init__(name, digest, fold)
        self.model = model.eval()

    @classmethod
    def of(cls, name: str, trained: Trained, fold: Fold | None = None) -> ModelTeacher:
        """The teacher in a checkpoint."""
        return cls(name, trained.model, trained.digest, fold)

    def score(self, ids_NF: Tensor) -> Tensor:
        """Logits float32 [N]."""
        return predict(self.model, ids_NF)
