"""FwFM: a factorization machine with a weight per pair of fields.

    logit = b + Σ_f w[id_f] + Σ_{i<j} r_ij ⟨e_i, e_j⟩

Paper: Pan et al., Field-weighted Factorization Machines for Click-Through Rate Prediction in Display Advertising
(WWW 2018), with the weight per id (their FwFMs_LW; they also tie it to the embedding, which costs m·d
multiplications). A student in KD-DAGFM's Table 2. Cost per row with m fields, d dimensions, P = m(m-1)/2 pairs: 2·P·d
multiplications; the linear part only adds, which is why that paper's Table 3 has P parameters and 2·P·d FLOPs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.layers.embedding import FieldEmbedding
from training.layers.pair_weights import PairWeights
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


@register("fwfm")
class FwFM(CTRModel):
    """logit = linear + weighted inner products + b."""

    def __init__(self, sizes: Sequence[int], options: ModelOptions) -> None:
        super().__init__(sizes, options)
        self.linear = FieldEmbedding(sizes, 1)
        self.interaction = PairWeights(len(sizes))
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
        """2·P·d."""
        return 2 * self.interaction.weights_P.numel() * self.options.embedding_size

    def interaction_parameters(self) -> int:
        """A weight per id, one per pair, b."""
        return self.linear.weight_VD.numel() + self.interaction.weights_P.numel() + 1
