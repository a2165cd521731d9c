"""Compressed interaction network without activation: interactions of order 2 … L+1, vector-wise.

    X^{k+1}_h = Σ_{i,j} W^k[h, i, j] · (X^k_i ⊙ X^0_j)          i over the H_k maps, j over the F fields
    pooled    = the sum over d of every X^k_h, k ≥ 1, concatenated

Cost per row: D · Σ_k H_k·F·H_{k+1} multiplications. Source: Lian et al., xDeepFM (KDD 2018), eq. 6-8; identity
activation as its authors recommend.

The last layer is used only as a weighted pooled sum, Σ_h v_h Σ_d X^L_hd. Without an activation the sum over h moves
inside: Σ_d Σ_ij (Σ_h v_h W[h,i,j]) X_id X0_jd, one map instead of H_L. That is exact, and saves the most expensive
product; `forward` therefore takes the readout weights.
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

    def __init__(self, fields: int, maps: Sequence[int]) -> None:
        super().__init__()
        self.fields = fields
        self.maps = list(maps)
        widths = zip([fields, *maps[:-1]], maps, strict=True)
        self.weights = nn.ParameterList(torch.empty(after, before, fields) for before, after in widths)
        for weight_HIF in self.weights:
            nn.init.xavier_normal_(weight_HIF.view(len(weight_HIF), -1))
        self.readout = nn.Parameter(torch.empty(1, sum(maps)))
        nn.init.xavier_normal_(self.readout)

    def forward(self, base_BFD: Tensor) -> Tensor:
        """Pooled maps times readout, [B]."""
        *readouts, last_readout_H = torch.split(self.readout[0], self.maps)
        base_BDF = base_BFD.transpose(1, 2)
        state_BDH, total_B = base_BDF, torch.zeros_like(base_BFD[:, 0, 0])
        for weight_HIF, readout_H in zip(list(self.weights)[:-1], readouts, strict=True):
            state_BDH = self._products(state_BDH, base_BDF) @ weight_HIF.flatten(1).T
            total_B = total_B + state_BDH.sum(1) @ readout_H
        folded_IF = torch.tensordot(last_readout_H, self.weights[-1], dims=1)
        last_B: Tensor = ((state_BDH @ folded_IF) * base_BDF).sum((1, 2))
        return total_B + last_B

    def products(self) -> int:
        """Σ H_{k-1}·F·H_k, H_0 = F: weights of the layers as published, each used once per dimension."""
        before = (self.fields, *self.maps[:-1])
        return sum(low * self.fields * high for low, high in zip(before, self.maps, strict=True))

    @staticmethod
    def _products(state_BDH: Tensor, base_BDF: Tensor) -> Tensor:
        """All products X^k_i · X^0_j per dimension, [B, D, H·F]."""
        return (state_BDH[..., :, None] * base_BDF[..., None, :]).flatten(2)
