"""One layer of GraphFM: a node takes the products with its neighbours, weighted, in place of its state.

    o_i  = [W_i^k Σ_j α^k[i, j] (h_i ⊙ h_j), k = 1 … K]           α from layers/neighbourhood.py, A numbers per head
    h'_i = LayerNorm(ReLU(o_i + ReLU(R_i h_i + r_i)))              every field has W and R of its own

h_i stands outside the sum, so that neighbours are summed first: m²·K·X + m·K·X multiplications per row and not m²·K·X
of products and m²·X·KA of projections. Then 2·m·X·KA to project, 3m·(KA + 1) to normalise. After l layers a state holds
interactions of order up to 2^l. Source: Li et al., GraphFM (2021); projections per field, the residual and the
normalisation are those of the authors' program.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FMAggregation(nn.Module):
    """States [B, F, X] and weights [B, K, F, F] → states [B, F, K·A].

    Args:
        fields: F.
        width: X.
        heads: K.
        attention_size: A.
    """

    def __init__(self, fields: int, width: int, heads: int, attention_size: int) -> None:
        super().__init__()
        self.projection_FKXA = nn.Parameter(torch.empty(fields, heads, width, attention_size))
        self.residual_FXY = nn.Parameter(torch.empty(fields, width, heads * attention_size))
        self.residual_bias_FY = nn.Parameter(torch.zeros(fields, heads * attention_size))
        for matrix in (*self.projection_FKXA.flatten(0, 1), *self.residual_FXY):
            nn.init.xavier_normal_(matrix)
        self.norm = nn.LayerNorm(heads * attention_size)

    def forward(self, state_BFX: Tensor, weights_BKFF: Tensor) -> Tensor:
        """The next states [B, F, K·A]."""
        products_BKFX = (weights_BKFF @ state_BFX[:, None]) * state_BFX[:, None]
        heads_FKBA = products_BKFX.permute(2, 1, 0, 3) @ self.projection_FKXA
        aggregated_BFY = heads_FKBA.permute(2, 0, 1, 3).flatten(2)
        residual_BFY = (state_BFX.transpose(0, 1) @ self.residual_FXY).transpose(0, 1) + self.residual_bias_FY
        normalised_BFY: Tensor = self.norm(torch.relu(aggregated_BFY + torch.relu(residual_BFY)))
        return normalised_BFY

    def multiplications(self) -> int:
        """m²·K·X + m·K·X + 2·m·X·KA + 3m·(KA + 1)."""
        fields, heads, width, size = self.projection_FKXA.shape
        products = fields * (fields + 1) * heads * width
        return products + 2 * fields * width * heads * size + 3 * fields * (heads * size + 1)

    def parameter_count(self) -> int:
        """2·m·X·KA, m·KA of the residual's bias, 2·KA of the normalisation."""
        fields = len(self.projection_FKXA)
        return self.projection_FKXA.numel() + self.residual_FXY.numel() + (fields + 2) * self.norm.normalized_shape[0]
