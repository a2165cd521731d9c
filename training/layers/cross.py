"""One cross layer of CrossNet (matrix form).

    x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l          x_0 = the F embeddings of a row, concatenated: a vector of F·D

After l layers the state holds interactions of order 2 … l+1. Cost per row: (FD)² + FD multiplications.
Source: Wang et al., DCN V2 (WWW 2021), eq. 1; the CrossNet teacher of KD-DAGFM.
"""

from __future__ import annotations

from torch import Tensor, nn


class CrossLayer(nn.Module):
    """(x_0, x_l) → x_{l+1}, all [B, F·D]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        nn.init.xavier_normal_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, base_BX: Tensor, state_BX: Tensor) -> Tensor:
        """The next state [B, F·D]."""
        projected: Tensor = self.linear(state_BX)
        return base_BX * projected + state_BX
