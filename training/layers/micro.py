"""Micro-networks: a small perceptron of its own for every pair of fields, with layer normalisation.

    z_k = W_k a_{k-1},  a_k = ReLU(g_k ⊙ (z_k - mean) / √(var + ε) + b_k)          a_0 = x

W_k, g_k and b_k are the network's own; mean and variance are those of the units of all networks in a row, so that
networks of a row keep their sizes relative to each other, and a row depends on itself alone. Cost per row of P networks
with widths n_0 … n_l: P·Σ (n_{k-1}·n_k + 3·n_k) + 3·l multiplications (squares, divisions, gains; two means and a root
per layer). Source: the sub-networks of PIN (Qu et al., TOIS 2018), normalised as in its authors' program.

All networks at once: a batched matrix product per layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class MicroNetworks(nn.Module):
    """Inputs of P networks, [P, B, X] → their outputs [B, P, n_l].

    Args:
        networks: P.
        width: X, n_0.
        hidden: n_1 … n_l.
    """

    def __init__(self, networks: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.networks = networks
        self.widths = [width, *hidden]
        shapes = [(networks, before, after) for before, after in pairwise(self.widths)]
        self.weights = nn.ParameterList(torch.empty(shape) for shape in shapes)
        self.gains = nn.ParameterList(torch.ones(networks, after) for _, _, after in shapes)
        self.shifts = nn.ParameterList(torch.zeros(networks, after) for _, _, after in shapes)
        for weight_PXY in self.weights:
            nn.init.normal_(weight_PXY, std=(2 / weight_PXY.shape[1]) ** 0.5)  # Kaiming's, for each network

    def forward(self, inputs_PBX: Tensor) -> Tensor:
        """Outputs [B, P, n_l]."""
        state_BPX = inputs_PBX.transpose(0, 1)
        for weight_PXY, gain_PY, shift_PY in zip(self.weights, self.gains, self.shifts, strict=True):
            linear_PBY = torch.bmm(state_BPX.transpose(0, 1), weight_PXY)
            normal_BPY = nn.functional.layer_norm(linear_PBY.transpose(0, 1), gain_PY.shape, gain_PY, shift_PY)
            state_BPX = torch.relu(normal_BPY)
        return state_BPX

    def multiplications(self) -> int:
        """P·Σ (n_{k-1}·n_k + 3·n_k) + 3·l."""
        return sum(self.networks * (before * after + 3 * after) + 3 for before, after in pairwise(self.widths))

    def parameter_count(self) -> int:
        """P·Σ (n_{k-1}·n_k + 2·n_k)."""
        return self.networks * sum(before * after + 2 * after for before, after in pairwise(self.widths))
