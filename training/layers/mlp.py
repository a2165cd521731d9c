"""A multi-layer perceptron with ReLU and one output: implicit interactions of every order.

    a_0 = x,  a_k = max(0, W_k a_{k-1} + b_k),  output = w · a_l + b

Cost per row with widths n_0 (input), n_1 … n_l: Σ n_{k-1}·n_k + n_l multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.layers.readout import Readout


class MLP(nn.Module):
    """Vectors [B, X] → one number per row [B].

    Args:
        width: X, n_0.
        hidden: n_1 … n_l, the widths of the hidden layers.
        dropout: share of each hidden layer's units left out at random in training; the output unit is never dropped.
    """

    def __init__(self, width: int, hidden: Sequence[int], *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.widths = [width, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(self.widths))
        self.output = Readout(self.widths[-1], 1)
        for linear in self.linears:
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
        nn.init.xavier_normal_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    @property
    def linears(self) -> list[nn.Linear]:
        """The hidden layers."""
        return [layer for layer in self.hidden if isinstance(layer, nn.Linear)]

    def forward(self, state_BX: Tensor) -> Tensor:
        """The output of each row, [B]."""
        for linear in self.hidden:
            state_BX = torch.relu(linear(state_BX))
            if self.dropout:
                state_BX = nn.functional.dropout(state_BX, self.dropout, self.training)
        output_B1: Tensor = self.output(state_BX)
        return output_B1[:, 0]

    def multiplications(self) -> int:
        """Σ n_{k-1}·n_k + n_l."""
        return sum(before * after for before, after in pairwise([*self.widths, 1]))

    def parameter_count(self) -> int:
        """A weight per multiplication and a bias per unit."""
        return self.multiplications() + sum(self.widths[1:]) + 1
