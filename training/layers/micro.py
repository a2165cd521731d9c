"""Micro-networks: a small perceptron of its own for every pair of fields, with layer normalisation.

    a_0 = x,  a_k = ReLU(g_k ⊙ norm(W_k a_{k-1}) + b_k)        W_k, g_k, b_k of the network's own
    norm(z) = (z - mean z) / √(var z + ε)                       over the units of a layer

A row's outputs depend on that row alone, which normalisation over a batch would not give. Cost per row and network with
widths n_0 … n_k: Σ n_{i-1}·n_i + 3·n_i + 3 multiplications (squares, divisions, gains; two means and a root).
Source: the sub-networks of PIN (Qu et al., TOIS 2018).

All networks at once: a batched matrix product per layer, networks first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class MicroNetworks(nn.Module):
    """Inputs of P networks, [P, B, X] → their outputs [P, B, n_k].

    Args:
        networks: P.
        width: X, n_0.
        hidden: n_1 … n_k, of at least two units each: a single one is zero when it is normalised.
    """

    def __init__(self, networks: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.networks = networks
        self.widths = [width, *hidden]
        shapes = [(networks, before, after) for before, after in pairwise(self.widths)]
        self.weights = nn.ParameterList(torch.empty(shape) for shape in shapes)
        self.gains = nn.ParameterList(torch.ones(networks, 1, after) for _, _, after in shapes)
        self.shifts = nn.ParameterList(torch.zeros(networks, 1, after) for _, _, after in shapes)
        for weight_PXY in self.weights:
            nn.init.normal_(weight_PXY, std=(2 / weight_PXY.shape[1]) ** 0.5)  # Kaiming's, for each network

    def forward(self, state_PBX: Tensor) -> Tensor:
        """Outputs [P, B, n_k]."""
        for weight_PXY, gain_P1Y, shift_P1Y in zip(self.weights, self.gains, self.shifts, strict=True):
            linear_PBY = torch.bmm(state_PBX, weight_PXY)
            normal_PBY = nn.functional.layer_norm(linear_PBY, linear_PBY.shape[2:])
            state_PBX = torch.relu(torch.addcmul(shift_P1Y, normal_PBY, gain_P1Y))
        return state_PBX

    def multiplications(self) -> int:
        """P·Σ (n_{i-1}·n_i + 3·n_i + 3)."""
        return self.networks * sum(before * after + 3 * after + 3 for before, after in pairwise(self.widths))

    def parameter_count(self) -> int:
        """P·Σ (n_{i-1}·n_i + 2·n_i)."""
        return self.networks * sum(before * after + 2 * after for before, after in pairwise(self.widths))
