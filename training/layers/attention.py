"""One interacting layer: multi-head self-attention over the embeddings of a row's fields, with a residual.

    α^h[f, g] = softmax over g of ⟨Q_h e_f, K_h e_g⟩              head h of H, attention size A per head
    e'_f      = ReLU([Σ_g α^h[f, g] V_h e_g, h = 1 … H] + R e_f)  H·A numbers

After l layers an embedding holds interactions of order up to l + 1 and beyond, each weighted by where it looked. The
products are not divided by √A: neither are the paper's. Cost per row with m fields of X numbers: 4·m·X·HA to
project, 2·m²·HA to compare and to sum, 2·m²·H for the softmax. Source: Song et al., AutoInt (CIKM 2019).

Trained by the compiled operator of fused_attention.py where there is one; else, and where it is exported, as matrix
products over all heads at once: on a CPU scaled_dot_product_attention is 1.9 times slower in float32 and 8.5 times in
bfloat16, where a row has so few fields.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.layers.fused_attention import PARTS, fused, is_fusible


class InteractingLayer(nn.Module):
    """Embeddings [B, F, X] → [B, F, H·A].

    Args:
        width: X, numbers per field that come in.
        heads: H.
        attention_size: A, numbers per field and head that go out.
    """

    def __init__(self, width: int, heads: int, attention_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_size = attention_size
        self.projection = nn.Linear(width, PARTS * self.width, bias=False)
        for weight_AX in torch.split(self.projection.weight, self.width):
            nn.init.xavier_normal_(weight_AX)

    @property
    def width(self) -> int:
        """H·A."""
        return self.heads * self.attention_size

    def forward(self, state_BFX: Tensor) -> Tensor:
        """The next embeddings [B, F, H·A]."""
        projected_BFX: Tensor = self.projection(state_BFX)
        if is_fusible(projected_BFX):
            return fused(projected_BFX, self.heads, self.attention_size)
        return attended(projected_BFX, self.heads, self.attention_size)

    def multiplications(self, fields: int) -> int:
        """4·m·X·HA + 2·m²·HA + 2·m²·H for m fields; an exponential counts as one."""
        projections = fields * self.projection.in_features * self.projection.out_features
        return projections + 2 * fields**2 * (self.width + self.heads)

    def parameter_count(self) -> int:
        """4·X·HA."""
        return self.projection.weight.numel()


def attended(projected_BFX: Tensor, heads: int, size: int) -> Tensor:
    """What `fused` computes, of torch's own operators, on any device and in any precision."""
    fields = projected_BFX.shape[1]
    query_BFHA, key_BFHA, value_BFHA, residual_BFHA = projected_BFX.view(-1, fields, PARTS, heads, size).unbind(2)
    weights_BHFF = torch.softmax(query_BFHA.transpose(1, 2) @ key_BFHA.permute(0, 2, 3, 1), dim=-1)
    attended_BFHA = (weights_BHFF @ value_BFHA.transpose(1, 2)).transpose(1, 2)
    return torch.relu(attended_BFHA + residual_BFHA).flatten(2)
