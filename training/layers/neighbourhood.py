"""Which nodes of a feature graph a node listens to, and how much: selection by a learned score, then attention.

    p_ij     = h_i ⊙ h_j                                           j = i among them
    s[i, j]  = w · ReLU(S p_ij + b)                                score of an edge, the same for all nodes
    N_i      = the j whose s[i, j] is among the K largest of s[i, ·], ties all kept
    α^k[i,j] = softmax over j ∈ N_i of σ(s[i, j] + c) · ReLU(a_k · p_ij + c_k)          head k

Only values are compared, never positions, so equal scores do no harm. Scores that rounding alone tells apart are
chosen by chance: another processor may choose otherwise, and a logit then jumps. Among 192,000 rows of untrained models
one was seen to. Letting neighbours in by degrees below the K-th score takes the jump away and makes matters worse,
because the slope multiplies rounding errors layer by layer: of 64,000 rows with three layers, 670 were off by more than
1e-5 with a slope of 100, 166 with 10.

p_ij is symmetric, so scores are made for E = m(m+1)/2 pairs. Cost per row with X numbers per node, s units of the
score and k heads: E·(X + X·s + s + X·k + k + 2) for scores, 2·m²·k for the softmax. Sources: Li et al., GraphFM (2021),
and its authors' program, in which s = 16 and what is not selected keeps the weight of a logit of zero; here it has
none, as in the text.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Neighbourhood(nn.Module):
    """States [B, F, X] → α [B, K, F, F], rows listen to columns; K heads.

    Args:
        fields: F.
        width: X.
        neighbours: how many nodes a node listens to, from 1 to F.
        heads: K.
        selection_size: s, hidden units of the score.
    """

    first_E: Tensor
    second_E: Tensor
    edge_X: Tensor

    def __init__(self, fields: int, width: int, neighbours: int, heads: int, selection_size: int) -> None:
        super().__init__()
        self.fields = fields
        self.neighbours = neighbours
        self.heads = heads
        self.hidden = nn.Linear(width, selection_size)
        self.score = nn.Linear(selection_size, 1)
        self.attention = nn.Linear(width, heads)
        for linear in (self.hidden, self.score, self.attention):
            nn.init.xavier_normal_(linear.weight)
            nn.init.zeros_(linear.bias)
        first_E, second_E = torch.triu_indices(fields, fields)
        edge_FF = torch.empty(fields, fields, dtype=torch.int64)
        edge_FF[first_E, second_E] = edge_FF[second_E, first_E] = torch.arange(len(first_E))
        self.register_buffer("first_E", first_E, persistent=False)
        self.register_buffer("second_E", second_E, persistent=False)
        self.register_buffer("edge_X", edge_FF.flatten(), persistent=False)

    def forward(self, state_BFX: Tensor) -> Tensor:
        """α [B, K, F, F]."""
        pairs_BEX = state_BFX.index_select(1, self.first_E) * state_BFX.index_select(1, self.second_E)
        scores_BE1 = torch.relu(self.hidden(pairs_BEX)) @ self.score.weight.T
        chances_BE1 = torch.sigmoid(scores_BE1 + self.score.bias)
        logits_BEK = chances_BE1 * torch.relu(self.attention(pairs_BEX))
        both_BXK = torch.cat([scores_BE1, logits_BEK], dim=2).index_select(1, self.edge_X)
        both_BKFF = both_BXK.transpose(1, 2).reshape(-1, 1 + self.heads, self.fields, self.fields)
        scores_B1FF, logits_BKFF = both_BKFF[:, :1], both_BKFF[:, 1:]
        last_B1F1 = scores_B1FF.topk(self.neighbours, dim=-1).values[..., -1:]
        return torch.softmax(logits_BKFF.masked_fill(scores_B1FF < last_B1F1, float("-inf")), dim=-1)

    def multiplications(self) -> int:
        """E·(X + X·s + s + X·k + k + 2) + 2·m²·k; the selection itself multiplies nothing."""
        width, units = self.hidden.in_features, self.hidden.out_features
        per_edge = width * (1 + units + self.heads) + units + self.heads + 2
        return len(self.first_E) * per_edge + 2 * self.fields**2 * self.heads

    def parameter_count(self) -> int:
        """(X + 2)·s + 1 of the score, (X + 1)·k of the attention."""
        width, units = self.hidden.in_features, self.hidden.out_features
        return (width + 2) * units + 1 + (width + 1) * self.heads
