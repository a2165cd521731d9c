"""DAGFM's forms: context once, and whole rows with everything folded. The states are those of dag.py.

    logit = Σ_t (w_c^t · h_c^t) + b + Σ_t (w_x^t · h_x^t)                           the context's part once

The last layer's states h^{l+1} are only summed. With m^l its messages from the context and λ = K_xx (w^{l+1} ⊙ h_x^1),
a message from targets back to sources,

    w_x^{l+1} · h_x^{l+1} = (w_x^{l+1} ⊙ m^l) · h_x^1 + λ · h_x^l

so what comes from its context costs no addition per candidate, and neither that state nor its product with h_x^1 is
ever made. Every sum over fields and dimensions is a product [1, S·D] @ [S·D, N], because onnxruntime is slow at matrix
times vector. Exact, not an approximation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.forms.constants import Lookup, fixed
from export.forms.dag import CandidateStates, ContextStates, Once
from export.forms.full_rows import full_rows
from export.forms.messages import Messages
from training.models.dagfm import DAGFM


class ContextOnce(nn.Module):
    """A DAGFM with everything that depends on the context alone computed once per request.

    Args:
        model: its connection must not mix candidates into the context.
        context_fields: Fc ≥ 1.
        way: how messages are sent.
    """

    def __init__(self, model: DAGFM, context_fields: int, way: type[Messages]) -> None:
        super().__init__()
        context, candidate = slice(0, context_fields), slice(context_fields, model.fields)
        self.context = ContextStates(model, context_fields, way)
        self.readout = fixed(readout(model, context, way).flatten()[None])
        self.bias = fixed(model.readout.bias)
        self.candidate_lookup = Lookup(model.embedding, candidate)
        self.candidates = CandidateLogits(model, candidate, way)

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        once: Once = self.context(context_ids)
        logit_11 = self.readout @ torch.cat(once.states_TX1) + self.bias
        logits_1N: Tensor = self.candidates(self.candidate_lookup.columns(candidate_ids), once) + logit_11
        return logits_1N[0]


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
        logits_1N: Tensor = self.rows(self.lookup.columns(full_rows(context_ids, candidate_ids)), None)
        return logits_1N[0] + self.bias


class CandidateLogits(nn.Module):
    """Candidate embeddings [Fx·D, N], and what the context gives if there is one → their part of the logits [1, N]."""

    def __init__(self, model: DAGFM, fields: slice, way: type[Messages]) -> None:
        super().__init__()
        self.states = CandidateStates(model, fields, way, layers=len(model.layers) - 1)
        self.back = way.along(model.propagations[-1], fields, fields).reverse(readout_weights(model)[-1, fields])
        weights_TX = readout(model, fields, way)
        self.weights = nn.ParameterList(fixed(weights_X[None]) for weights_X in weights_TX[:-1])
        self.last_weights = fixed(weights_TX[-1][:, None])
        self.ones = fixed(torch.ones_like(weights_TX[:1]))

    def forward(self, columns_XN: Tensor, once: Once | None) -> Tensor:
        """Their part of the logits [1, N]."""
        base, *later = self.states(columns_XN, once)
        logits_1N = self._linear(base, once)
        for weights_1X, state in zip(list(self.weights)[1:], later, strict=True):
            logits_1N = logits_1N + weights_1X @ state
        last_1N: Tensor = self.ones @ (self.back(base) * [base, *later][-1])
        return logits_1N + last_1N

    def _linear(self, base: Tensor, once: Once | None) -> Tensor:
        """What is linear in h^1: its readout and, from the context, the last layer's."""
        weights_1X: Tensor = self.weights[0]
        if once is not None:
            weights_1X = weights_1X + (self.last_weights * once.messages_LX1[-1]).T
        return weights_1X @ base


def readout_weights(model: DAGFM) -> Tensor:
    """w, [T, F]: one weight per layer of states and field."""
    return model.readout.weight.detach().view(len(model.layers) + 1, model.fields)


def readout(model: DAGFM, fields: slice, way: type[Messages]) -> Tensor:
    """The weights repeated per dimension, [T, S·D] in the order of `way`: the sum over d is then part of a product."""
    dimension = model.embedding.dimension
    return torch.stack([way.per_state(weights_F[fields], dimension) for weights_F in readout_weights(model)])
