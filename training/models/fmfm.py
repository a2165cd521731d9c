"""FmFM: a factorization machine with a full matrix per pair of fields.

    logit = b + Σ_f w[id_f] + Σ_{i<j} e_iᵀ M_ij e_j

Paper: Sun et al., FM²: Field-matrixed Factorization Machines for Recommender Systems (WWW 2021), all fields of
one embedding size. A student in KD-DAGFM's Table 2. Cost per row with m fields, d dimensions, P = m(m-1)/2 pairs:
P·(d² + d) multiplications; the linear part only adds. A matrix that is a multiple of the identity is FwFM's weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.layers.embedding import FieldEmbedding
from training.layers.pair_matrices import PairMatrices
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


@register("fmfm")
class FmFM(CTRModel):
    """logit = linear + bilinear products + b."""

    def __init__(self, sizes: Sequence[int], options: ModelOptions) -> None:
        super().__init__(sizes, options)
        self.linear = FieldEmbedding(sizes, 1)
        self.interaction = PairMatrices(len(sizes), options.embedding_size)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Logits [B] of rows of ids."""
        linear_B: Tensor = self.linear(ids_BF).sum((1, 2))
        return linear_B + self.interact(self.embedding(ids_BF))

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of embedded rows, less the linear part."""
        pairs_B: Tensor = self.interaction(embedded_BFD)
        return pairs_B + self.bias

    def flops(self) -> int:
        """P·(d² + d)."""
        matrices_PDD = self.interaction.matrices_PDD
        return matrices_PDD.numel() + len(matrices_PDD) * self.options.embedding_size

    def interaction_parameters(self) -> int:
        """A weight per id, a matrix per pair, b."""
        return self.linear.weight_VD.numel() + self.interaction.matrices_PDD.numel() + 1
