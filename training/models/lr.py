"""LR: logistic regression, a weight per id.

    logit = b + Σ_f w[id_f]

The wide half of Wide&Deep and the first row of ECKD's Table 5 (Zhu et al., CIKM 2020). Its embedding table holds the
weights themselves, one number per id, so that they are served, stored in fewer bytes and filled for unseen values like
embeddings; `embedding_size` can only be 1, since any other would be a size that nothing has. Cost per row: no
multiplication, m - 1 additions and the bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field as Option
from torch import Tensor, nn

from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class LROptions(ModelOptions):
    """Nothing to choose."""

    embedding_size: int = Option(default=1, ge=1, le=1, examples=[1])
    """Always 1: an id's embedding is its weight."""


@register("lr")
class LR(CTRModel):
    """logit = b + the row's embeddings summed."""

    Options = LROptions

    def __init__(self, sizes: Sequence[int], options: LROptions) -> None:
        super().__init__(sizes, options)
        self.bias = nn.Parameter(torch.zeros(()))

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of weights [B, F, 1]."""
        return embedded_BFD.sum((1, 2)) + self.bias

    def flops(self) -> int:
        """0."""
        return 0

    def interaction_parameters(self) -> int:
        """The bias."""
        return 1
