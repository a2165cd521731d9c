"""One fused embedding table for all fields: the ids of field f are rows offset[f] … offset[f] + size[f] - 1.

One gather per batch instead of F, one parameter for the optimiser. Cost per row: F·D reads, no multiplication. The
gradient is a table of its own, or the rows of the batch alone if whoever trains it asks for that (sparse_gradient).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FieldEmbedding(nn.Module):
    """ids_BF → embeddings [B, F, D].

    Args:
        sizes: number of ids of each field, padding and unknown included.
        dimension: D.
    """

    offsets_F: Tensor

    def __init__(self, sizes: Sequence[int], dimension: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.sparse_gradient = False
        self.weight_VD = nn.Parameter(torch.empty(sum(sizes), dimension))
        self.register_buffer("offsets_F", torch.tensor([0, *sizes[:-1]]).cumsum(0).int(), persistent=False)
        nn.init.xavier_uniform_(self.weight_VD)

    @property
    def dimension(self) -> int:
        """D."""
        return self.weight_VD.shape[1]

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Embeddings [B, F, D]."""
        rows_BF = ids_BF + self.offsets_F
        if self.sparse_gradient and self.training:
            return nn.functional.embedding(rows_BF.long(), self.weight_VD, sparse=True)
        return nn.functional.embedding(rows_BF, self.weight_VD)

    @torch.no_grad()
    def fill_untrained(self, seen_V: Tensor) -> int:
        """Give every id no training row used the mean of its field's trained embeddings; return how many.

        These are padding, unknown, and values that occur only outside the training rows. Their embeddings never get
        a gradient, and weight decay alone drives them to zero, which switches every interaction off; the mean
        instead scores an unknown value like the average known one.

        Args:
            seen_V: how often training used each row of the table; weights of the mean.
        """
        filled = 0
        rows = zip(torch.split(self.weight_VD, self.sizes), torch.split(seen_V, self.sizes), strict=True)
        for table_ID, seen_I in rows:
            untrained_I = seen_I == 0
            if untrained_I.all():
                continue
            weights_I = (seen_I / seen_I.sum()).to(table_ID.dtype)
            table_ID[untrained_I] = weights_I @ table_ID
            filled += int(untrained_I.sum())
        return filled

    def count_uses(self, ids_NF: Tensor) -> Tensor:
        """How often these rows use each row of the table, int64 [V]."""
        return torch.bincount((ids_NF + self.offsets_F).flatten(), minlength=len(self.weight_VD))
