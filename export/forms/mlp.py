"""A perceptron with the context once: its first layer's product splits by columns, and nothing after it.

Candidates are the last axis. Per candidate the first layer costs Xx·n_1 multiplications instead of X·n_1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.forms.constants import fixed
from export.forms.crossnet import SplitProduct
from training.layers.mlp import MLP


class MLPOnce(nn.Module):
    """Context [Xc, 1] and candidates [Xx, N] → outputs [1, N].

    Args:
        mlp: over vectors of Xc + Xx numbers.
        width: Xc.
    """

    def __init__(self, mlp: MLP, width: int) -> None:
        super().__init__()
        first, *later = mlp.linears
        self.first = SplitProduct(first.weight, first.bias, width)
        linears = [*later, mlp.output]
        self.weights = nn.ParameterList(fixed(linear.weight) for linear in linears)
        self.biases = nn.ParameterList(fixed(linear.bias[:, None]) for linear in linears)

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """Outputs [1, N]."""
        state_XN: Tensor = self.first(context_X1, candidates_XN)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            state_XN = weight @ torch.relu(state_XN) + bias
        return state_XN
