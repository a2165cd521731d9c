"""Compressed interaction network without activation: interactions of order 2 … L+1, vector-wise.

    X^{k+1}_h = Σ_{i,j} W^k[h, i, j] · (X^k_i ⊙ X^0_j)          i over the H_k maps, j over the F fields
    pooled    = the sum over d of every X^k_h, k ≥ 1, concatenated

Cost per row: D · Σ_k H_k·F·H_{k+1} multiplications. Source: Lian et al., xDeepFM (KDD 2018), eq. 6-8; identity
activation as its authors recommend.

The last layer is used only as a weighted pooled sum, Σ_h v_h Σ_d X^L_hd. Without an activation the sum over h moves
inside: Σ_d Σ_ij (Σ_h v_h W[h,i,j]) X_id X0_jd, one map instead of H_L. That is exact, and saves the most expensive
product; `forward` therefore takes the readout weights.

The first layer multiplies fields by fields, so that (i, j) and (j, i) are one product: Σ_{i≤j} (W[h,i,j] + W[h,j,i])
x_i ⊙ x_j, diagonal once, half the arithmetic and exact too. Products are written as matrix products of a column and a
row, whose gradients are matrix products again: a third of the time of multiplying and summing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CompressedInteraction(nn.Module):
    """Embeddings [B, F, D] → one number per row [B]: pooled feature maps times a readout without bias.

    Args:
        fields: F.
        maps: H_1 … H_L, the number of feature maps of each layer.
    """

    first_P: Tensor
    second_P: Tensor
    diagonal_FF: Tensor

    def __init__(self, fields: int, maps: Sequence[int]) -> None:
        super().__init__()
        self.fields = fields
        self.maps = list(maps)
        widths = zip([fields, *maps[:-1]], maps, strict=True)
        self.weights = nn.ParameterList(torch.empty(after, before, fields) for before, after in widths)
        for weight_HIF in self.weights:
            nn.init.xavier_normal_(weight_HIF.view(len(weight_HIF), -1))
        self.register_buffer("first_P", torch.triu_indices(fields, fields)[0], persistent=False)
        self.register_buffer("second_P", torch.triu_indices(fields, fields)[1], persistent=False)
        self.register_buffer("diagonal_FF", 1 - 0.5 * torch.eye(fields), persistent=False)
        self.readout = nn.Parameter(torch.empty(1, sum(maps)))
        nn.init.xavier_normal_(self.readout)

    def forward(self, base_BFD: Tensor) -> Tensor:
        """Pooled maps times readout, [B]."""
        *readouts, last_readout_H = torch.split(self.readout[0], self.maps)
        base_BDF = base_BFD.transpose(1, 2).contiguous()
        state_BDH, total_B = base_BDF, torch.zeros_like(base_BFD[:, 0, 0])
        for layer, readout_H in enumerate(readouts):
            state_BDH = self._next(layer, state_BDH, base_BDF)
            total_B = total_B + (state_BDH.sum(1, dtype=self.readout.dtype) * readout_H).sum(1)
        # Not tensordot: the exporter rewrites it to a product that contracts I in the place of H where both are equal.
        folded_IF = (last_readout_H[:, None, None] * self.weights[-1]).sum(0)
        last_B: Tensor = ((state_BDH @ folded_IF) * base_BDF).sum((1, 2))
        return total_B + last_B

    def _next(self, layer: int, state_BDH: Tensor, base_BDF: Tensor) -> Tensor:
        """X^{k+1} of X^k, [B, D, H]."""
        if layer == 0:
            products, weight = self._pairs(base_BDF), self._folded_pairs()
        else:
            products, weight = self._products(state_BDH, base_BDF), self.weights[layer].flatten(1)
        next_BDH: Tensor = products @ weight.T
        return next_BDH

    def products(self) -> int:
        """Σ H_{k-1}·F·H_k, H_0 = F: weights of the layers as published, each used once per dimension."""
        before = (self.fields, *self.maps[:-1])
        return sum(low * self.fields * high for low, high in zip(before, self.maps, strict=True))

    def _folded_pairs(self) -> Tensor:
        """W[h,i,j] + W[h,j,i] of the pairs i ≤ j, the diagonal once, [H, P]."""
        weight_HFF = self.weights[0]
        halved_HFF = (weight_HFF + weight_HFF.transpose(1, 2)) * self.diagonal_FF
        folded_HP: Tensor = halved_HFF.flatten(1).index_select(1, self.first_P * self.fields + self.second_P)
        return folded_HP

    def _pairs(self, base_BDF: Tensor) -> Tensor:
        """Products of fields i ≤ j, [B, D, P]."""
        return base_BDF.index_select(2, self.first_P) * base_BDF.index_select(2, self.second_P)

    @staticmethod
    def _products(state_BDH: Tensor, base_BDF: Tensor) -> Tensor:
        """All products X^k_i · X^0_j per dimension, [B, D, H·F]."""
        return (state_BDH[..., :, None] @ base_BDF[..., None, :]).flatten(2)
