"""What a form holds: constants of their own memory, and the embeddings of some consecutive fields."""

from __future__ import annotations

from torch import Tensor, nn

from export.table import TablePart
from training.layers.embedding import FieldEmbedding


def fixed(weights: Tensor) -> nn.Parameter:
    """A weight as a constant of its own memory."""
    return nn.Parameter(weights.detach().clone(), requires_grad=False)


class Lookup(nn.Module):
    """Ids [N, F] of consecutive fields → their embeddings [N, F, D]. The only place where a form touches a table.

    Args:
        embedding: the model's fused table.
        fields: which of its fields.
    """

    def __init__(self, embedding: FieldEmbedding, fields: slice) -> None:
        super().__init__()
        self.part = TablePart(embedding, fields)

    def forward(self, ids_NF: Tensor) -> Tensor:
        """Embeddings [N, F, D]."""
        embedded_NFD: Tensor = self.part(ids_NF)
        return embedded_NFD

    def columns(self, ids_NF: Tensor) -> Tensor:
        """Embeddings with rows last, [F·D, N]."""
        embedded_NFD: Tensor = self(ids_NF)
        return embedded_NFD.flatten(1).T
