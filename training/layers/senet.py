"""Squeeze and excitation: how much each field of a row matters, from all its fields.

    z_f = mean over d of e_f                             squeeze
    a   = ReLU(W_2 ReLU(W_1 z))                          excitation: m → m/r → m
    v_f = a_f · e_f                                      re-weighting

Cost per row with m fields of d numbers and s = max(1, m/r) units: m means, 2·m·s products, m·d for the re-weighting.
Parameters 2·m·s, no biases. Source: Huang et al., FiBiNET (RecSys 2019), its SENET layer: means rather than maxima,
and ReLU twice.

W_2 starts without negative weights: a field that had nothing else would be zero in every row and never get a gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Embeddings [B, F, D] → re-weighted embeddings [B, F, D].

    Args:
        fields: F.
        reduction: r, how many fields share a unit of the excitation.
    """

    def __init__(self, fields: int, reduction: int) -> None:
        super().__init__()
        units = max(1, fields // reduction)
        self.squeeze = nn.Linear(fields, units, bias=False)
        self.excite = nn.Linear(units, fields, bias=False)
        nn.init.xavier_normal_(self.squeeze.weight)
        nn.init.xavier_normal_(self.excite.weight)
        with torch.no_grad():
            self.excite.weight.abs_()

    def forward(self, embedded_BFD: Tensor) -> Tensor:
        """Re-weighted embeddings [B, F, D]."""
        squeezed_BS = torch.relu(self.squeeze(embedded_BFD.mean(2)))
        weights_BF = torch.relu(self.excite(squeezed_BS))
        return weights_BF[..., None] * embedded_BFD

    def multiplications(self, dimension: int) -> int:
        """Per row of embeddings of d numbers: m + 2·m·s + m·d."""
        return self.squeeze.in_features * (1 + 2 * self.squeeze.out_features + dimension)

    def parameter_count(self) -> int:
        """2·m·s."""
        return self.squeeze.weight.numel() + self.excite.weight.numel()
