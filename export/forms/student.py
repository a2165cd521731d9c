"""The student's forms: context once, and whole rows with everything folded.

Context fields come first and edges run from lower to higher field, so with c the context and x the candidate nodes
the kernel K of a layer is [[K_cc, K_cx], [0, K_xx]] and the connection C is [[C_cc, 0], [C_xc, C_xx]]:

    h_c^1 = C_cc e_c                h_c' = h_c^1 ⊙ K_ccᵀ h_c                        once, [Fc·D, 1]
    h_x^1 = C_xc e_c + C_xx e_x     h_x' = h_x^1 ⊙ (K_cxᵀ h_c + K_xxᵀ h_x)          [Fx·D, N], K_cxᵀ h_c once
    logit = Σ_t (w_c^t · h_c^t) + b + Σ_t (w_x^t · h_x^t)                           the context's part once

The last layer's states h^{l+1} are only summed. With m^l its messages from the context and λ = K_xx (w^{l+1} ⊙ h_x^1),
a message from targets back to sources,

    w_x^{l+1} · h_x^{l+1} = (w_x^{l+1} ⊙ m^l) · h_x^1 + λ · h_x^l

so what comes from its context costs no addition per candidate, and neither that state nor its product with h_x^1 is
ever made. Candidates are the last axis; every sum over fields and dimensions is a product [1, S·D] @ [S·D, N], because
onnxruntime is slow at matrix times vector. Exact, not an approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from export.forms.constants import Lookup, fixed
from export.forms.full_rows import full_rows
from export.forms.messages import Messages
from training.models.dagfm import DAGFM


@dataclass(frozen=True)
class Once:
    """What the context gives to every candidate."""

    offset_X1: Tensor
    """C_xc e_c, [Fx·D, 1]."""
    messages_LX1: list[Tensor]
    """K_cxᵀ h_c of every layer."""
    logit_11: Tensor
    """The context's own share of the logit."""


class ContextOnce(nn.Module):
    """A DAGFM with everything that depends on the context alone computed once per request.

    Args:
        model: its connection must not mix candidates into the context.
        context_fields: Fc ≥ 1.
        way: how messages are sent.
    """

    def __init__(self, model: DAGFM, context_fields: int, way: type[Messages]) -> None:
        super().__init__()
        self.context = ContextStates(model, context_fields, way)
        self.candidate_lookup = Lookup(model.embedding, slice(context_fields, model.fields))
        self.candidates = CandidateLogits(model, slice(context_fields, model.fields), way)

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        once = self.context(context_ids)
        logits_N: Tensor = self.candidates(self.candidate_lookup.columns(candidate_ids), once)
        return logits_N


class FoldedRows(nn.Module):
    """A DAGFM on whole rows: every field is a candidate's. The cheapest for a handful of rows, and without context.

    Args:
        model: with any connection.
        way: how messages are sent.
    """

    def __init__(self, model: DAGFM, way: type[Messages]) -> None:
        super().__init__()
        self.lookup = Lookup(model.embedding, slice(0, model.fields))
        self.rows = CandidateLogits(model, slice(0, model.fields), way)
        self.bias = fixed(model.readout.bias)

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        logits_N: Tensor = self.rows(self.lookup.columns(full_rows(context_ids, candidate_ids)), None)
        return logits_N + self.bias


class ContextStates(nn.Module):
    """Context ids [1, Fc] → what the context gives to every candidate."""

    def __init__(self, model: DAGFM, context_fields: int, way: type[Messages]) -> None:
        super().__init__()
        context, candidate = slice(0, context_fields), slice(context_fields, model.fields)
        self.way = way
        self.lookup = Lookup(model.embedding, context)
        self.connect_cc = fixed(model.connection()[context, context])
        self.connect_xc = fixed(model.connection()[candidate, context])
        self.within = nn.ModuleList(way.along(layer, context, context) for layer in model.propagations)
        self.onward = nn.ModuleList(way.along(layer, context, candidate) for layer in model.propagations)
        self.readout = fixed(readout(model, context, way).flatten()[None])
        self.bias = fixed(model.readout.bias)

    def forward(self, context_ids: Tensor) -> Once:
        """The offset of candidate states, the messages to them, and a share of the logit."""
        columns = self.lookup.columns(context_ids)
        base = state = self.way.mix(self.connect_cc, columns)
        states, messages = [state], []
        for within, onward in zip(self.within, self.onward, strict=True):
            messages.append(onward(state))
            state = base * within(state)
            states.append(state)
        logit_11 = self.readout @ torch.cat(states) + self.bias
        return Once(self.way.mix(self.connect_xc, columns), messages, logit_11)


class CandidateLogits(nn.Module):
    """Candidate embeddings [Fx·D, N], and what the context gives if there is one → logits [N]."""

    def __init__(self, model: DAGFM, fields: slice, way: type[Messages]) -> None:
        super().__init__()
        *layers, last = model.propagations
        self.way = way
        self.connect = fixed(model.connection()[fields, fields])
        self.among = nn.ModuleList(way.along(layer, fields, fields) for layer in layers)
        self.back = way.along(last, fields, fields).reverse(readout_weights(model)[-1, fields])
        weights_TX = readout(model, fields, way)
        self.weights = nn.ParameterList(fixed(weights_X[None]) for weights_X in weights_TX[:-1])
        self.last_weights = fixed(weights_TX[-1][:, None])
        self.ones = fixed(torch.ones_like(weights_TX[:1]))

    def forward(self, columns_XN: Tensor, once: Once | None) -> Tensor:
        """Logits [N], less the bias where there is no context."""
        base = self.way.mix(self.connect, columns_XN)
        if once is not None:
            base = base + once.offset_X1
        state: Tensor = base
        logits_1N = self._linear(base, once)
        for position, among in enumerate(self.among):
            messages = among(state)
            if once is not None:
                messages = messages + once.messages_LX1[position]
            state = base * messages
            logits_1N = logits_1N + self.weights[position + 1] @ state
        last_1N: Tensor = self.ones @ (self.back(base) * state)
        return (logits_1N + last_1N)[0]

    def _linear(self, base: Tensor, once: Once | None) -> Tensor:
        """What is linear in h^1: its readout and, from the context, the last layer's."""
        weights_1X: Tensor = self.weights[0]
        if once is None:
            return weights_1X @ base
        return (weights_1X + (self.last_weights * once.messages_LX1[-1]).T) @ base + once.logit_11


def readout_weights(model: DAGFM) -> Tensor:
    """w, [T, F]: one weight per layer of states and field."""
    return model.readout.weight.detach().view(len(model.layers) + 1, model.fields)


def readout(model: DAGFM, fields: slice, way: type[Messages]) -> Tensor:
    """The weights repeated per dimension, [T, S·D] in the order of `way`: the sum over d is then part of a product."""
    dimension = model.embedding.dimension
    return torch.stack([way.per_state(weights_F[fields], dimension) for weights_F in readout_weights(model)])
