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
        order_X: which of the perceptron's inputs each number is; in turn if None.
    """

    def __init__(self, mlp: MLP, width: int, order_X: Tensor | None = None) -> None:
        super().__init__()
        first = mlp.linears[0]
        weight = first.weight if order_X is None else first.weight[:, order_X]
        self.first = SplitProduct(weight, first.bias, width)
        self.later = LaterLayers(mlp)

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """Outputs [1, N]."""
        outputs_1N: Tensor = self.later(self.first(context_X1, candidates_XN))
        return outputs_1N


class MLPRows(nn.Module):
    """Rows as columns, [X, N] → outputs [1, N].

    Args:
        mlp: over vectors of X numbers.
        order_X: which of the perceptron's inputs each number is.
    """

    def __init__(self, mlp: MLP, order_X: Tensor) -> None:
        super().__init__()
        first = mlp.linears[0]
        self.weight, self.bias = fixed(first.weight[:, order_X]), fixed(first.bias[:, None])
        self.later = LaterLayers(mlp)

    def forward(self, columns_XN: Tensor) -> Tensor:
        """Outputs [1, N]."""
        outputs_1N: Tensor = self.later(self.weight @ columns_XN + self.bias)
        return outputs_1N


class LaterLayers(nn.Module):
    """What the first layer gives, before its ReLU, [n_1, N] → outputs [1, N]."""

    def __init__(self, mlp: MLP) -> None:
        super().__init__()
        linears = [*mlp.linears[1:], mlp.output]
        self.weights = nn.ParameterList(fixed(linear.weight) for linear in linears)
        self.biases = nn.ParameterList(fixed(linear.bias[:, None]) for linear in linears)

    def forward(self, state_XN: Tensor) -> Tensor:
        """Outputs [1, N]."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            state_XN = weight @ torch.relu(state_XN) + bias
        return state_XN
