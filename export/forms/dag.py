"""States of a directed acyclic graph with the context once.

Context fields come first and edges run from lower to higher field, so with c the context and x the candidate nodes
the kernel K of a layer is [[K_cc, K_cx], [0, K_xx]] and the connection C is [[C_cc, 0], [C_xc, C_xx]]:

    h_c^1 = C_cc e_c                h_c' = h_c^1 ⊙ K_ccᵀ h_c                        once, [Fc·D, 1]
    h_x^1 = C_xc e_c + C_xx e_x     h_x' = h_x^1 ⊙ (K_cxᵀ h_c + K_xxᵀ h_x)          [Fx·D, N], K_cxᵀ h_c once

Candidates are the last axis. Exact, not an approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from export.forms.constants import Lookup, fixed
from export.forms.messages import Messages
from training.models.dag import DAGModel


@dataclass(frozen=True)
class Once:
    """What the context is and gives to every candidate; states and messages in the order of a way."""

    offset_X1: Tensor
    """C_xc e_c, [Fx·D, 1]."""
    messages_LX1: list[Tensor]
    """K_cxᵀ h_c of every layer."""
    states_TX1: list[Tensor]
    """h_c^1 … h_c^{l+1}, each [Fc·D, 1]."""


class ContextStates(nn.Module):
    """Context ids [1, Fc] → the context's states, and what it gives to every candidate.

    Args:
        model: its connection must not mix candidates into the context.
        context_fields: Fc ≥ 1.
        way: how messages are sent.
    """

    def __init__(self, model: DAGModel, context_fields: int, way: type[Messages]) -> None:
        super().__init__()
        context, candidate = slice(0, context_fields), slice(context_fields, model.fields)
        self.way = way
        self.lookup = Lookup(model.embedding, context)
        self.connect_cc = fixed(model.connection()[context, context])
        self.connect_xc = fixed(model.connection()[candidate, context])
        self.within = nn.ModuleList(way.along(layer, context, context) for layer in model.propagations)
        self.onward = nn.ModuleList(way.along(layer, context, candidate) for layer in model.propagations)

    def forward(self, context_ids: Tensor) -> Once:
        """The offset of candidate states, the messages to them, and the context's own states."""
        columns = self.lookup.columns(context_ids)
        base = state = self.way.mix(self.connect_cc, columns)
        states, messages = [state], []
        for within, onward in zip(self.within, self.onward, strict=True):
            messages.append(onward(state))
            state = base * within(state)
            states.append(state)
        return Once(self.way.mix(self.connect_xc, columns), messages, states)


class CandidateStates(nn.Module):
    """Candidate embeddings [Fx·D, N], and what the context gives if there is one → the candidates' states.

    Args:
        model: what is served.
        fields: the candidate's.
        way: how messages are sent.
        layers: of how many layers; the last one's states may be summed without being made.
    """

    def __init__(self, model: DAGModel, fields: slice, way: type[Messages], layers: int) -> None:
        super().__init__()
        self.way = way
        self.connect = fixed(model.connection()[fields, fields])
        self.among = nn.ModuleList(way.along(layer, fields, fields) for layer in model.propagations[:layers])

    def forward(self, columns_XN: Tensor, once: Once | None) -> list[Tensor]:
        """h_x^1 and the states of the layers, each [Fx·D, N]."""
        base = self.way.mix(self.connect, columns_XN)
        if once is not None:
            base = base + once.offset_X1
        states = [base]
        for position, among in enumerate(self.among):
            messages = among(states[-1])
            if once is not None:
                messages = messages + once.messages_LX1[position]
            states.append(base * messages)
        return states


def field_first(way: type[Messages], fields: slice, dimension: int) -> Tensor:
    """Where each number of a flat state [S·D] of some fields lies among all fields' flat embeddings, by field first."""
    first, last = fields.start * dimension, fields.stop * dimension
    return way.ordered(torch.arange(first, last), dimension)
