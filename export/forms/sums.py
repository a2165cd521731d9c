"""A model whose logit is a sum of parts over the same embeddings: each part computes the context once on its own.

    logit = Σ_f w[id_f] + Σ_p part_p(context, candidates) + b

A part is a module (context [Xc, 1], candidates [Xx, N]) → [1, N], as MLPOnce is. Table and weights per id are gathered
for the context once and for each candidate.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from export.forms.constants import Lookup, fixed
from training.layers.embedding import FieldEmbedding
from training.models.base import CTRModel


class SumOnce(nn.Module):
    """The sum of parts, of the linear part and of the bias, where the model has them.

    Args:
        model: whose embeddings the parts read.
        context_fields: Fc ≥ 1.
        parts: at least one.
        linear: the table of weights per id.
        bias: b, a number.
    """

    def __init__(
        self,
        model: CTRModel,
        context_fields: int,
        parts: Sequence[nn.Module],
        *,
        linear: FieldEmbedding | None = None,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__()
        context, candidate = slice(0, context_fields), slice(context_fields, model.fields)
        self.context_lookup = Lookup(model.embedding, context)
        self.candidate_lookup = Lookup(model.embedding, candidate)
        self.parts = nn.ModuleList(parts)
        self.linear = None if linear is None else LinearOnce(linear, context_fields)
        self.bias = None if bias is None else fixed(bias)

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        columns = self.context_lookup.columns(context_ids), self.candidate_lookup.columns(candidate_ids)
        first, *others = self.parts
        total_1N: Tensor = first(*columns)
        for part in others:
            total_1N = total_1N + part(*columns)
        logits_N = total_1N[0]
        if self.linear is not None:
            logits_N = logits_N + self.linear(context_ids, candidate_ids)
        return logits_N if self.bias is None else logits_N + self.bias


class LinearOnce(nn.Module):
    """Weights per id, summed over the row: the context's sum once."""

    def __init__(self, linear: FieldEmbedding, context_fields: int) -> None:
        super().__init__()
        self.context = Lookup(linear, slice(0, context_fields))
        self.candidates = Lookup(linear, slice(context_fields, len(linear.sizes)))

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Sums [N]."""
        sum_N: Tensor = self.candidates(candidate_ids).sum((1, 2)) + self.context(context_ids).sum()
        return sum_N
