"""Cross layers with a vector each, read out by a linear unit.

    x_{l+1} = x_0 · (x_l · w_l) + b_l + x_l          x_0 = the F embeddings of a row, concatenated: a vector of X = F·D
    output  = v · x_L

Every state stays in line with x_0 but for a constant: x_l = a_l x_0 + c_l with c_l = b_0 + … + b_{l-1}, so

    a_{l+1} = a_l + a_l (x_0 · w_l) + c_l · w_l,      output = a_L (x_0 · v) + c_L · v

exactly. One product of x_0 with L + 1 vectors replaces L states of X numbers: (L + 1)·X multiplications per row instead
of the 2·L·X of the equations. It also shows what this network can be: a polynomial of L + 1 projections of x_0.
Source: Wang et al., Deep & Cross Network for Ad Click Predictions (ADKDD 2017), eq. 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.layers.readout import full_precision


class VectorCross(nn.Module):
    """Vectors [B, X] → v · x_L, [B].

    Args:
        width: X.
        layers: L ≥ 1; interactions reach order L + 1.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.weights_LX = nn.Parameter(torch.empty(layers, width))
        self.biases_LX = nn.Parameter(torch.zeros(layers, width))
        self.readout_1X = nn.Parameter(torch.empty(1, width))
        for vector_1X in (*torch.split(self.weights_LX, 1), self.readout_1X):
            nn.init.xavier_normal_(vector_1X)

    def forward(self, base_BX: Tensor) -> Tensor:
        """The readout of each row, [B]."""
        with full_precision():  # the logit itself: see layers/readout.py
            onto_BT = base_BX.to(self.readout_1X.dtype) @ self.vectors().T
            return follow(onto_BT.unbind(1), self.shifts())

    def vectors(self) -> Tensor:
        """w_0 … w_{L-1} and v, [L + 1, X]."""
        return torch.cat([self.weights_LX, self.readout_1X])

    def shifts(self) -> Tensor:
        """c_l · w_l and c_L · v, [L + 1]."""
        constants_TX = torch.cat([torch.zeros_like(self.readout_1X), self.biases_LX.cumsum(0)])
        return (constants_TX * self.vectors()).sum(1)

    def multiplications(self) -> int:
        """2·L·X, as published and without the readout, as CrossNet's are counted."""
        return 2 * self.weights_LX.numel()

    def parameter_count(self) -> int:
        """Two vectors per layer and the readout."""
        return 2 * self.weights_LX.numel() + self.readout_1X.numel()


def follow(onto: Sequence[Tensor], shifts_T: Tensor) -> Tensor:
    """The output of each row from its projections onto w_0 … w_{L-1} and v, each [B], and from what is added: [B]."""
    *onto_weights, onto_readout_B = onto
    *shifts, shift_readout = shifts_T.unbind()
    scale_B = torch.ones_like(onto_readout_B)
    for onto_B, shift in zip(onto_weights, shifts, strict=True):
        scale_B = scale_B + scale_B * onto_B + shift
    return scale_B * onto_readout_B + shift_readout
