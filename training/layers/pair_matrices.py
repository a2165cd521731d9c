"""Bilinear products of all pairs, each with a full matrix of its own.

    Σ_{i<j} e_iᵀ M_ij e_j = eᵀ M e        e [F·D] a row's embeddings in line, M [F·D, F·D] with M_ij above its diagonal

One matrix product [B, F·D] @ [F·D, F·D]. Half of it is with zeros, which is still some fifteen times faster than a
product per pair at 39 fields. Cost per row by the equation: P·(D² + D) with P = F(F-1)/2 pairs.
Source: Sun et al., FM²: Field-matrixed Factorization Machines (WWW 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.layers.pairs import pair_slots, upper_triangle


class PairMatrices(nn.Module):
    """Embeddings [B, F, D] → one number per row [B].

    Args:
        fields: F ≥ 2.
        dimension: D.
    """

    slots_FF: Tensor

    def __init__(self, fields: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("slots_FF", pair_slots(fields), persistent=False)
        self.matrices_PDD = nn.Parameter(torch.empty(fields * (fields - 1) // 2, dimension, dimension))
        nn.init.normal_(self.matrices_PDD, std=dimension**-0.5)  # Xavier's for one matrix, not for the stack of them

    def forward(self, embedded_BFD: Tensor) -> Tensor:
        """Σ_{i<j} e_iᵀ M_ij e_j of each row, [B]."""
        flat_BX = embedded_BFD.flatten(1)
        return ((flat_BX @ self.matrix()) * flat_BX).sum(1)

    def matrix(self) -> Tensor:
        """M, [F·D, F·D]."""
        blocks_FFDD = upper_triangle(self.matrices_PDD, self.slots_FF)
        return blocks_FFDD.transpose(1, 2).flatten(2).flatten(0, 1)
