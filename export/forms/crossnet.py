"""CrossNet with the context once, as far as its equations allow.

    x_{t+1} = x_0 ⊙ (W_t x_t + b_t) + x_t,  logit = w · x_l + b

W_0 x_0 splits by columns: the context's part is made once. Later states mix every field, so nothing of them is the
context's alone. The last layer's state is only summed, and moves to the other side of its product:

    w · x_l = (w + W_{l-1}ᵀ (w ⊙ x_0)) · x_{l-1} + (w ⊙ b_{l-1}) · x_0

in which W_{l-1}ᵀ (w ⊙ x_0) is linear in x_0 and splits by columns again. With X = m·d numbers in a row, Xx of them the
candidate's, the first and the last layer cost X·Xx multiplications instead of X². Candidates are the last axis.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from export.forms.constants import fixed
from training.layers.cross import CrossLayer


class CrossOnce(nn.Module):
    """Context [Xc, 1] and candidates [Xx, N] → w · x_l, [1, N].

    Args:
        layers: two cross layers or more.
        readout: w, of Xc + Xx numbers.
        width: Xc.
    """

    def __init__(self, layers: nn.ModuleList, readout: nn.Linear, width: int) -> None:
        super().__init__()
        first, *between, last = (cast("CrossLayer", layer).linear for layer in layers)
        weights_X = readout.weight[0]
        self.first = SplitProduct(first.weight, first.bias + 1, width)
        self.between = nn.ModuleList(ColumnCross(linear) for linear in between)
        self.last = SplitProduct(last.weight.T * weights_X, weights_X, width)
        self.ones = fixed(torch.ones(1, len(weights_X)))
        self.base_weights = fixed((weights_X * last.bias)[None])

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """The last state read out, [1, N]."""
        base_XN = torch.cat([context_X1.expand(-1, candidates_XN.shape[1]), candidates_XN])
        state_XN = base_XN * self.first(context_X1, candidates_XN)
        for cross in self.between:
            state_XN = cross(base_XN, state_XN)
        last_1N: Tensor = self.ones @ (self.last(context_X1, candidates_XN) * state_XN)
        return last_1N + self.base_weights @ base_XN


class SplitProduct(nn.Module):
    """M x_0 + v, the context's columns once: context [Xc, 1], candidates [Xx, N] → [S, N]."""

    def __init__(self, matrix_SX: Tensor, vector_S: Tensor, width: int) -> None:
        super().__init__()
        self.context, self.candidates = fixed(matrix_SX[:, :width]), fixed(matrix_SX[:, width:])
        self.vector = fixed(vector_S[:, None])

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """The product [S, N]."""
        once_S1 = self.context @ context_X1 + self.vector
        return self.candidates @ candidates_XN + once_S1


class ColumnCross(nn.Module):
    """A cross layer on columns [X, N]; its own state is added by x_0 ⊙ (…) + x_t."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = fixed(linear.weight), fixed(linear.bias[:, None])

    def forward(self, base_XN: Tensor, state_XN: Tensor) -> Tensor:
        """The next state [X, N]."""
        return base_XN * (self.weight @ state_XN + self.bias) + state_XN
