"""FM: a weight per id and the inner products of all pairs of embeddings.

    logit = b + Σ_f w[id_f] + Σ_{i<j} ⟨e_i, e_j⟩

Paper: Rendle, Factorization Machines (ICDM 2010), eq. 1, of degree two. Cost per row with m fields, d dimensions:
(m + 1)·d + 1 multiplications by the identity of layers/fm.py; the linear part only adds.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.layers.embedding import FieldEmbedding
from training.layers.fm import multiplications, pairwise_products
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


@register("fm")
class FM(CTRModel):
    """logit = linear + inner products + b."""

    def __init__(self, sizes: Sequence[int], options: ModelOptions) -> None:
        super().__init__(sizes, options)
        self.linear = FieldEmbedding(sizes, 1)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Logits [B] of rows of ids."""
        linear_B: Tensor = self.linear(ids_BF).sum((1, 2))
        return linear_B + self.interact(self.embedding(ids_BF))

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of embedded rows, less the linear part."""
        return pairwise_products(embedded_BFD) + self.bias

    def flops(self) -> int:
        """(m + 1)·d + 1."""
        return multiplications(self.fields, self.options.embedding_size)

    def interaction_parameters(self) -> int:
        """A weight per id, b."""
        return self.linear.weight_VD.numel() + 1
