"""CIN with the context once: to the candidates, the whole context is one field whose weights come with the request.

    X^{k+1}_h = Σ_i Σ_j W[h, i, j] X^k_i ⊙ x_j        i over the maps, j over the fields, elementwise in D

Over context fields j the sum belongs to the request: V[d, h, i] = Σ_j W[h, i, j] x_jd is made once, and a candidate
pays D·H·H' multiplications for all of them together. In the first layer the maps are fields themselves: pairs within
the context are a constant per map, pairs of context and candidate are linear in the candidate's Fx fields, and
W[h, i, j] + W[h, j, i] stands for both orders of a pair of candidate fields. The last layer is folded into the
readout, as in training/layers/cin.py; its context columns are made once too.

States are [D, H, N]. Per candidate with Fx candidate fields: D·H_1·(Fx + Fx(Fx+1)/2), then D·H·H'·(1 + Fx) per layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.forms.constants import Lookup, fixed
from training.layers.cin import CompressedInteraction
from training.models.cin import CIN


class CINOnce(nn.Module):
    """Context [Fc·D, 1] and candidates [Fx·D, N] → pooled maps times readout [1, N].

    Args:
        interaction: of two layers or more.
        context_fields: Fc ≥ 1.
        dimension: D.
    """

    def __init__(self, interaction: CompressedInteraction, context_fields: int, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        first, *between, last = interaction.weights
        *readouts, last_readout_H = torch.split(interaction.readout[0], interaction.maps)
        self.first = FirstMaps(first, context_fields)
        self.between = nn.ModuleList(NextMaps(weight, context_fields) for weight in between)
        folded_IF = torch.tensordot(last_readout_H, last, dims=1)
        self.last_context = fixed(folded_IF[:, :context_fields])
        self.last_candidates = fixed(folded_IF[:, context_fields:])
        self.readouts = nn.ParameterList(fixed(readout_H.repeat(dimension)[None]) for readout_H in readouts)
        self.ones = fixed(torch.ones(1, dimension * len(folded_IF)))

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """Pooled maps times readout, [1, N]."""
        context_FD = context_X1.reshape(-1, self.dimension)
        base_DFN = candidates_XN.reshape(-1, self.dimension, candidates_XN.shape[1]).transpose(0, 1)
        state_DHN: Tensor = self.first(context_FD, base_DFN)
        pooled_1N: Tensor = self.readouts[0] @ state_DHN.flatten(0, 1)
        for maps, readout in zip(self.between, list(self.readouts)[1:], strict=True):
            state_DHN = maps(context_FD, base_DFN, state_DHN)
            pooled_1N = pooled_1N + readout @ state_DHN.flatten(0, 1)
        once_DH1 = (self.last_context @ context_FD).T[..., None]
        last_DHN = (self.last_candidates @ base_DFN + once_DH1) * state_DHN
        return pooled_1N + self.ones @ last_DHN.flatten(0, 1)


class FirstMaps(nn.Module):
    """The first layer: every pair of fields."""

    first_P: Tensor
    second_P: Tensor

    def __init__(self, weight_HFF: Tensor, context_fields: int) -> None:
        super().__init__()
        maps, fields, _ = weight_HFF.shape
        context, candidate = slice(0, context_fields), slice(context_fields, fields)
        both_HFF = weight_HFF + weight_HFF.transpose(1, 2)
        self.within_context = fixed(weight_HFF[:, context, context].flatten(1))
        self.across = fixed(both_HFF[:, candidate, context].flatten(0, 1))
        first_P, second_P = torch.triu_indices(fields - context_fields, fields - context_fields)
        self.register_buffer("first_P", first_P)
        self.register_buffer("second_P", second_P)
        among_HFF = both_HFF[:, candidate, candidate]
        halved_HFF = torch.where(torch.eye(among_HFF.shape[1], dtype=torch.bool), among_HFF / 2, among_HFF)
        self.among = fixed(halved_HFF[:, first_P, second_P])
        self.maps = maps

    def forward(self, context_FD: Tensor, base_DFN: Tensor) -> Tensor:
        """Maps [D, H, N]."""
        dimension = context_FD.shape[1]
        pairs_XD = (context_FD[:, None] * context_FD[None]).flatten(0, 1)
        constant_DH1 = (self.within_context @ pairs_XD).T[..., None]
        across_DHF = (self.across @ context_FD).T.reshape(dimension, self.maps, -1)
        products_DPN = base_DFN.index_select(1, self.first_P) * base_DFN.index_select(1, self.second_P)
        return self.among @ products_DPN + across_DHF @ base_DFN + constant_DH1


class NextMaps(nn.Module):
    """A later layer: maps times fields."""

    def __init__(self, weight_HIF: Tensor, context_fields: int) -> None:
        super().__init__()
        self.maps = weight_HIF.shape[:2]
        self.context = fixed(weight_HIF[..., :context_fields].flatten(0, 1))
        self.candidates = nn.ParameterList(fixed(weight_HI) for weight_HI in weight_HIF[..., context_fields:].unbind(2))

    def forward(self, context_FD: Tensor, base_DFN: Tensor, state_DIN: Tensor) -> Tensor:
        """Maps [D, H, N]. One candidate field at a time: all products at once would not stay in the cache."""
        once_DHI = (self.context @ context_FD).T.reshape(context_FD.shape[1], *self.maps)
        maps_DHN = once_DHI @ state_DIN
        for field, weight_HI in enumerate(self.candidates):
            maps_DHN = maps_DHN + weight_HI @ (state_DIN * base_DFN[:, field : field + 1])
        return maps_DHN


class CINContextOnce(nn.Module):
    """A CIN of two layers or more.

    Args:
        model: the teacher.
        context_fields: Fc ≥ 1.
    """

    def __init__(self, model: CIN, context_fields: int) -> None:
        super().__init__()
        self.context_lookup = Lookup(model.embedding, slice(0, context_fields))
        self.candidate_lookup = Lookup(model.embedding, slice(context_fields, model.fields))
        self.cin = CINOnce(model.interaction, context_fields, model.embedding.dimension)
        self.bias = fixed(model.bias)

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        columns = self.context_lookup.columns(context_ids), self.candidate_lookup.columns(candidate_ids)
        logits_1N: Tensor = self.cin(*columns)
        return logits_1N[0] + self.bias
