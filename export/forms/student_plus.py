"""DAGFM+'s forms: context once, and whole rows with everything folded. The states are those of dag.py.

    z = Σ_t h^t;    W_1 z = W_1c z_c + W_1x z_x                 the context's columns of the first layer once

and nothing after it. The states of every layer are made here, since a perceptron reads them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.forms.constants import Lookup
from export.forms.dag import CandidateStates, ContextStates, Once, field_first
from export.forms.full_rows import full_rows
from export.forms.messages import Messages
from export.forms.mlp import MLPOnce, MLPRows
from training.models.dagfm_plus import DAGFMPlus


class PlusOnce(nn.Module):
    """A DAGFM+ with everything that depends on the context alone computed once per request.

    Args:
        model: its connection must not mix candidates into the context.
        context_fields: Fc ≥ 1.
        way: how messages are sent.
    """

    def __init__(self, model: DAGFMPlus, context_fields: int, way: type[Messages]) -> None:
        super().__init__()
        context, candidate = slice(0, context_fields), slice(context_fields, model.fields)
        dimension = model.embedding.dimension
        self.context = ContextStates(model, context_fields, way)
        self.candidate_lookup = Lookup(model.embedding, candidate)
        self.candidates = CandidateStates(model, candidate, way, layers=len(model.layers))
        columns = [field_first(way, fields, dimension) for fields in (context, candidate)]
        self.mlp = MLPOnce(model.mlp, context_fields * dimension, torch.cat(columns))

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        once: Once = self.context(context_ids)
        states = self.candidates(self.candidate_lookup.columns(candidate_ids), once)
        logits_1N: Tensor = self.mlp(total(once.states_TX1), total(states))
        return logits_1N[0]


class PlusRows(nn.Module):
    """A DAGFM+ on whole rows: every field is a candidate's. The cheapest for a handful of rows, and without context.

    Args:
        model: with any connection.
        way: how messages are sent.
    """

    def __init__(self, model: DAGFMPlus, way: type[Messages]) -> None:
        super().__init__()
        fields = slice(0, model.fields)
        self.lookup = Lookup(model.embedding, fields)
        self.rows = CandidateStates(model, fields, way, layers=len(model.layers))
        self.mlp = MLPRows(model.mlp, field_first(way, fields, model.embedding.dimension))

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        states = self.rows(self.lookup.columns(full_rows(context_ids, candidate_ids)), None)
        logits_1N: Tensor = self.mlp(total(states))
        return logits_1N[0]


def total(states_TXN: list[Tensor]) -> Tensor:
    """z, [X, N]."""
    first, *later = states_TXN
    for state_XN in later:
        first = first + state_XN
    return first
