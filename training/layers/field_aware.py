"""Inner products of all pairs, of embeddings that are aware of the other field.

    Σ_{i<j} ⟨v_{i→j}, v_{j→i}⟩          v_{i→j} [D]: what the value of field i is to field j

All F² products of v and its transpose are made and half of them kept: faster than to select the pairs first, which
copies both halves. Cost per row by the equation: D·F(F-1)/2 multiplications, and F²·D reads, which is what dominates.
Source: Juan et al., Field-aware Factorization Machines for CTR Prediction (RecSys 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FieldAwareProducts(nn.Module):
    """Field-aware embeddings [B, F, F, D], the other field third → one number per row [B]."""

    pairs_FF: Tensor

    def __init__(self, fields: int) -> None:
        super().__init__()
        self.register_buffer("pairs_FF", torch.ones(fields, fields).triu(1), persistent=False)

    def forward(self, aware_BFFD: Tensor) -> Tensor:
        """Σ_{i<j} ⟨v_{i→j}, v_{j→i}⟩ of each row, [B]."""
        products_BFF = (aware_BFFD * aware_BFFD.transpose(1, 2)).sum(3)
        return (products_BFF * self.pairs_FF).sum((1, 2))
