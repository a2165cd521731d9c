"""Bilinear interaction of every pair of fields: a product after one side has been turned by a matrix.

    p_ij = (e_i W) ⊙ e_j                                 i < j
    W is one for all pairs ("all"), one per left field ("each") or one per pair ("interaction")

Cost per row with m fields of d numbers and P = m(m-1)/2 pairs: all, each (m-1)·d² + P·d multiplications, for e_i W is
the same in every pair of i; interaction P·(d² + d). Parameters d², (m-1)·d², P·d²: the last field is never on the left
and needs no matrix, though the paper counts one. Source: Huang et al., FiBiNET (RecSys 2019), its
bilinear-interaction layer.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from training.layers.pair_products import pair_products
from training.layers.pairs import field_pairs

Bilinear = Literal["all", "each", "interaction"]


class BilinearInteraction(nn.Module):
    """Several versions C of the embeddings of the same fields, [B, C, F, D] → products [B, C, P, D].

    Each version has matrices of its own. Side by side they are one tensor that a perceptron reads as it lies.

    Args:
        versions: C.
        fields: F.
        dimension: D.
        bilinear: how many matrices each version has.
    """

    first_P: Tensor
    second_P: Tensor

    def __init__(self, versions: int, fields: int, dimension: int, bilinear: Bilinear) -> None:
        super().__init__()
        self.fields = fields
        self.bilinear = bilinear
        first_P, second_P = field_pairs(fields)
        self.register_buffer("first_P", first_P, persistent=False)
        self.register_buffer("second_P", second_P, persistent=False)
        matrices = {"all": 1, "each": fields - 1, "interaction": len(first_P)}[bilinear]
        self.weight_CMDD = nn.Parameter(torch.empty(versions, matrices, dimension, dimension))
        nn.init.normal_(self.weight_CMDD, std=dimension**-0.5)  # Xavier's, for each matrix

    def forward(self, states_BCFD: Tensor) -> Tensor:
        """Products [B, C, P, D]."""
        states_CFBD = states_BCFD.permute(1, 2, 0, 3)
        if self.bilinear == "interaction":
            turned_CPBD = states_CFBD.index_select(1, self.first_P) @ self.weight_CMDD
            return (turned_CPBD * states_CFBD.index_select(1, self.second_P)).permute(2, 0, 1, 3)
        left_CFBD = states_CFBD[:, :-1]
        shape = left_CFBD.shape
        versions, matrices = self.weight_CMDD.shape[:2]
        turned_CMXD = left_CFBD.reshape(versions, matrices, -1, shape[3]) @ self.weight_CMDD
        turned_BCFD = turned_CMXD.view(versions, shape[1], -1, shape[3]).permute(2, 0, 1, 3)
        return pair_products(turned_BCFD, states_BCFD.to(turned_BCFD.dtype))

    def multiplications(self) -> int:
        """Per row: (m-1)·d² + P·d for each version, P·(d² + d) if every pair has its matrix."""
        versions, matrices, dimension, _ = self.weight_CMDD.shape
        turned = matrices if self.bilinear == "interaction" else self.fields - 1
        return versions * (turned * dimension**2 + len(self.first_P) * dimension)
