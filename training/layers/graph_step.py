"""What arrives at the nodes of a feature graph in one step: transformed where it leaves, summed, transformed again.

    a_i = W_in^i Σ_j A[i, j] W_out^j h_j + b          W_out^j, W_in^i [H, H]: every field has two of its own

The product W_in^i W_out^j is the edge's transformation; as two factors it costs 2·m·H² + m(m-1)·H multiplications per
row and 2·m·H² + H parameters, not m²·H² of both. Source: Li et al., Fi-GNN (CIKM 2019), after gated graph networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GraphStep(nn.Module):
    """States [B, F, H] and edge weights [B, F, F] → what arrives [B, F, H].

    Args:
        fields: F.
        width: H.
    """

    def __init__(self, fields: int, width: int) -> None:
        super().__init__()
        self.leaving_FHH = nn.Parameter(torch.empty(fields, width, width))
        self.arriving_FHH = nn.Parameter(torch.empty(fields, width, width))
        self.bias_H = nn.Parameter(torch.zeros(width))
        for weight_HH in (*self.leaving_FHH, *self.arriving_FHH):
            nn.init.xavier_normal_(weight_HH)

    def forward(self, state_BFH: Tensor, edges_BFF: Tensor) -> Tensor:
        """What arrives [B, F, H]; a matrix product per field."""
        leaving_BFH = (state_BFH.transpose(0, 1) @ self.leaving_FHH).transpose(0, 1)
        summed_BFH = edges_BFF @ leaving_BFH
        return (summed_BFH.transpose(0, 1) @ self.arriving_FHH).transpose(0, 1) + self.bias_H

    def multiplications(self) -> int:
        """2·m·H² + m(m-1)·H."""
        fields, width, _ = self.leaving_FHH.shape
        return self.leaving_FHH.numel() + self.arriving_FHH.numel() + fields * (fields - 1) * width

    def parameter_count(self) -> int:
        """2·m·H² + H."""
        return self.leaving_FHH.numel() + self.arriving_FHH.numel() + len(self.bias_H)
