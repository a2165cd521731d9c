"""Products of all pairs with the context once: FM, FwFM and FmFM.

All three are quadratic in the row's embeddings. With c the context's and x a candidate's,

    Σ_{i<j} pair(e_i, e_j) = pairs within c + ⟨what c sends to x, x⟩ + pairs within x

of which the first is a number and what c sends is a vector, both made once. Embeddings come as columns, context
[Xc, 1] and candidates [Xx, N]; a part gives [1, N]. Per candidate with Fx fields, Xx = Fx·D numbers: FM 2·(Xx + D),
FwFM Fx·Xx + 2·Xx, FmFM Xx² + 2·Xx multiplications, the sum over Xx, a product with ones, included.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.forms.constants import fixed
from training.layers.pair_matrices import PairMatrices
from training.layers.pair_weights import PairWeights


class FMOnce(nn.Module):
    """½ (|s + t|² - Σ |e|²), s the sum of the context's embeddings and t of a candidate's.

    Args:
        dimension: D.
        candidate_fields: Fx.
    """

    def __init__(self, dimension: int, candidate_fields: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.halves = fixed(torch.full((1, dimension), 0.5))
        self.all_halves = fixed(torch.full((1, dimension * candidate_fields), 0.5))

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """The sum over pairs [1, N]."""
        context_D1 = context_X1.reshape(-1, self.dimension, 1).sum(0)
        once_11 = ((context_D1 * context_D1).sum() - (context_X1 * context_X1).sum()) / 2
        sum_DN = candidates_XN.reshape(-1, self.dimension, candidates_XN.shape[1]).sum(0)
        of_the_sum_1N = self.halves @ (sum_DN * (sum_DN + (context_D1 + context_D1)))
        return of_the_sum_1N - self.all_halves @ (candidates_XN * candidates_XN) + once_11


class PairWeightsOnce(nn.Module):
    """Weighted inner products; what a field is sent is Σ_{i<j} r_ij e_i.

    Args:
        interaction: of all fields.
        context_fields: Fc.
        dimension: D.
    """

    def __init__(self, interaction: PairWeights, context_fields: int, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        sent_FF = interaction.matrix().T
        self.within = fixed(sent_FF[:context_fields, :context_fields])
        self.across = fixed(sent_FF[context_fields:, :context_fields])
        self.among = fixed(sent_FF[context_fields:, context_fields:])
        self.ones = fixed(torch.ones(1, dimension * len(self.among)))

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """The sum over pairs [1, N]."""
        context_FD = context_X1.reshape(-1, self.dimension)
        once = ((self.within @ context_FD) * context_FD).sum()
        across_X1 = (self.across @ context_FD).reshape(-1, 1)
        among_FX = self.among @ candidates_XN.reshape(len(self.among), -1)
        among_XN = among_FX.reshape(-1, candidates_XN.shape[1])
        return self.ones @ ((among_XN + across_X1) * candidates_XN) + once


class PairMatricesOnce(nn.Module):
    """Bilinear products; what a field is sent is Σ_{i<j} M_ijᵀ e_i.

    Args:
        interaction: of all fields.
        width: Xc.
    """

    def __init__(self, interaction: PairMatrices, width: int) -> None:
        super().__init__()
        sent_XX = interaction.matrix().T
        self.within = fixed(sent_XX[:width, :width])
        self.across = fixed(sent_XX[width:, :width])
        self.among = fixed(sent_XX[width:, width:])
        self.ones = fixed(torch.ones(1, len(self.among)))

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """The sum over pairs [1, N]."""
        once = ((self.within @ context_X1) * context_X1).sum()
        sent_XN = self.among @ candidates_XN + self.across @ context_X1
        return self.ones @ (sent_XN * candidates_XN) + once
