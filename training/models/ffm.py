"""FFM: a factorization machine whose embeddings are aware of the other field.

    logit = b + Σ_f w[id_f] + Σ_{i<j} ⟨v_{i→j}, v_{j→i}⟩

Paper: Juan et al., Field-aware Factorization Machines for CTR Prediction (RecSys 2016). An id has m embeddings of d
numbers, one for each other field and one for its own that is never read: the m·d numbers per id of the paper. Its
equation leaves the linear part out; it is built here, as in FM and FwFM, so that a value can count by itself.
Cost per row with m fields, d dimensions, P = m(m-1)/2 pairs: P·d multiplications and m²·d reads; the linear part only
adds.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.layers.embedding import FieldEmbedding
from training.layers.field_aware import FieldAwareProducts
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


@register("ffm")
class FFM(CTRModel):
    """logit = linear + field-aware inner products + b."""

    def __init__(self, sizes: Sequence[int], options: ModelOptions) -> None:
        super().__init__(sizes, options)
        self.linear = FieldEmbedding(sizes, 1)
        self.interaction = FieldAwareProducts(len(sizes))
        self.bias = nn.Parameter(torch.zeros(()))

    @classmethod
    def embedding_width(cls, fields: int, options: ModelOptions) -> int:
        """m·d: an embedding per other field."""
        return fields * options.embedding_size

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Logits [B] of rows of ids."""
        linear_B: Tensor = self.linear(ids_BF).sum((1, 2))
        return linear_B + self.interact(self.embedding(ids_BF))

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of embedded rows [B, F, F·D], less the linear part."""
        aware_BFFD = embedded_BFD.reshape(-1, self.fields, self.fields, self.options.embedding_size)
        pairs_B: Tensor = self.interaction(aware_BFFD)
        return pairs_B + self.bias

    def flops(self) -> int:
        """P·d."""
        return self.fields * (self.fields - 1) // 2 * self.options.embedding_size

    def interaction_parameters(self) -> int:
        """A weight per id, b."""
        return self.linear.weight_VD.numel() + 1
