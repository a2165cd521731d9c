"""xDeepFM with the context once: its linear part, its CIN and its perceptron each split on their own."""

from __future__ import annotations

from torch import Tensor, nn

from export.forms.cin import CINOnce
from export.forms.constants import Lookup
from export.forms.mlp import MLPOnce
from training.models.xdeepfm import XDeepFM


class XDeepFMContextOnce(nn.Module):
    """An xDeepFM whose CIN has two layers or more.

    Args:
        model: the teacher.
        context_fields: Fc ≥ 1.
    """

    def __init__(self, model: XDeepFM, context_fields: int) -> None:
        super().__init__()
        context, candidate = slice(0, context_fields), slice(context_fields, model.fields)
        self.context_lookup = Lookup(model.embedding, context)
        self.candidate_lookup = Lookup(model.embedding, candidate)
        self.context_linear = Lookup(model.linear, context)
        self.candidate_linear = Lookup(model.linear, candidate)
        dimension = model.embedding.dimension
        self.cin = CINOnce(model.interaction, context_fields, dimension)
        self.mlp = MLPOnce(model.mlp, context_fields * dimension)

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        columns = self.context_lookup.columns(context_ids), self.candidate_lookup.columns(candidate_ids)
        linear_N: Tensor = self.candidate_linear(candidate_ids).sum((1, 2)) + self.context_linear(context_ids).sum()
        interacted_1N: Tensor = self.cin(*columns) + self.mlp(*columns)
        return linear_N + interacted_1N[0]
