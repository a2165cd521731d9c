"""How much a node of a feature graph hears of every other node: attention over the embeddings of the two.

    A[i, j] = softmax over j ≠ i of LeakyReLU(u · e_i + v · e_j)          A[i, i] = 0

u and v are the two halves of one vector that weights [e_i ‖ e_j]; apart they cost 2·m·d multiplications per row and not
m²·2d. Then 3·m(m-1) for the rectifier and the softmax. What arrives at a node sums to one, as in the graph attention
network this is taken from; Fi-GNN's notation leaves open whether it is rather what leaves one. Source: Li et al.,
Fi-GNN (CIKM 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EdgeWeights(nn.Module):
    """Embeddings [B, F, D] → A [B, F, F], rows hear columns.

    Args:
        fields: F, two or more.
        dimension: D.
    """

    no_edge_FF: Tensor

    def __init__(self, fields: int, dimension: int) -> None:
        super().__init__()
        self.ends = nn.Linear(dimension, 2, bias=False)
        nn.init.xavier_normal_(self.ends.weight)
        self.register_buffer("no_edge_FF", torch.eye(fields, dtype=torch.bool), persistent=False)

    def forward(self, embedded_BFD: Tensor) -> Tensor:
        """A [B, F, F]."""
        heard_BF, telling_BF = self.ends(embedded_BFD).unbind(2)
        logits_BFF = nn.functional.leaky_relu(heard_BF[:, :, None] + telling_BF[:, None, :])
        return torch.softmax(logits_BFF.masked_fill(self.no_edge_FF, float("-inf")), dim=-1)

    def multiplications(self) -> int:
        """2·m·d + 3·m(m-1)."""
        fields = len(self.no_edge_FF)
        return fields * self.ends.weight.numel() + 3 * fields * (fields - 1)
