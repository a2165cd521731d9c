"""FFM with the context once: what its values keep for the candidates' fields are weights that come with the request.

    Σ_{i<j} ⟨v_{i→j}, v_{j→i}⟩ = pairs within the context + Σ_j Σ_c ⟨v_{c→j}, v_{j→c}⟩ + pairs among the candidate's

The sum over a candidate's fields j and the context's fields c is one inner product with a vector of the request. Per
candidate with Fx of F fields and P = Fx(Fx-1)/2 pairs of its own: Fx·F·D + 2·P·D multiplications, sums included.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.forms.constants import fixed
from training.layers.pairs import field_pairs


class FieldAwareOnce(nn.Module):
    """Context [Fc·F·D, 1] and candidates [Fx·F·D, N] → sums over pairs [1, N].

    Args:
        fields: F.
        context_fields: Fc.
        dimension: D.
    """

    def __init__(self, fields: int, context_fields: int, dimension: int) -> None:
        super().__init__()
        self.context_fields = context_fields
        self.shape = (-1, fields, dimension)
        self.within = fixed(torch.ones(context_fields, context_fields).triu(1)[..., None])
        candidate_fields = fields - context_fields
        self.own = fixed(torch.zeros(candidate_fields, candidate_fields, dimension))
        self.among = AmongCandidates(fields, context_fields, dimension) if candidate_fields > 1 else None

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """The sums [1, N]."""
        aware_CFD = context_X1.reshape(self.shape)
        to_context_CCD, to_candidates_CSD = aware_CFD.tensor_split([self.context_fields], dim=1)
        once = (to_context_CCD * to_context_CCD.transpose(0, 1) * self.within).sum()
        weights_SFD = torch.cat([to_candidates_CSD.transpose(0, 1), self.own], dim=1)
        sums_1N = weights_SFD.reshape(1, -1) @ candidates_XN + once
        return sums_1N if self.among is None else sums_1N + self.among(candidates_XN)


class AmongCandidates(nn.Module):
    """The pairs of two or more candidate fields: [Fx·F·D, N] → [1, N]."""

    first_P: Tensor
    second_P: Tensor

    def __init__(self, fields: int, context_fields: int, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        first_P, second_P = field_pairs(fields - context_fields)
        self.register_buffer("first_P", first_P * fields + context_fields + second_P)
        self.register_buffer("second_P", second_P * fields + context_fields + first_P)
        self.ones = fixed(torch.ones(1, len(first_P) * dimension))

    def forward(self, candidates_XN: Tensor) -> Tensor:
        """The sums [1, N]."""
        aware_KDN = candidates_XN.reshape(-1, self.dimension, candidates_XN.shape[1])
        products_PDN = aware_KDN.index_select(0, self.first_P) * aware_KDN.index_select(0, self.second_P)
        return self.ones @ products_PDN.flatten(0, 1)
