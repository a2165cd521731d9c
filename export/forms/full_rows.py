"""The model itself on [context, candidate] rows: the form every model has, and the reference for the others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models.base import CTRModel


def full_rows(context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
    """Ids [N, Fc + Ff]: the context [1, Fc] before each candidate [N, Ff]."""
    return torch.cat([context_ids.expand(candidate_ids.shape[0], -1), candidate_ids], dim=1)


class FullRows(nn.Module):
    """The model itself on [context, candidate] rows."""

    def __init__(self, model: CTRModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        logits_N: Tensor = self.model(full_rows(context_ids, candidate_ids))
        return logits_N
