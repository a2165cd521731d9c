"""CIN: the compressed interaction network alone, pooled maps into one linear unit.

Paper: xDeepFM (Lian et al., KDD 2018), its explicit part; the inner student's teacher in KD-DAGFM.
Cost per row with m fields, d dimensions, maps H_1 … H_l: d·Σ H_{k-1}·m·H_k multiplications (H_0 = m), and
Σ H_{k-1}·m·H_k parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from training.layers.cin import CompressedInteraction
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class CINOptions(ModelOptions):
    """Options of CIN."""

    maps: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(5, 3)])
    """Feature maps of each layer; interactions reach order len(maps) + 1."""


@register("cin")
class CIN(CTRModel):
    """logit = readout · pooled maps + b."""

    Options = CINOptions

    def __init__(self, sizes: Sequence[int], options: CINOptions) -> None:
        super().__init__(sizes, options)
        self.interaction = CompressedInteraction(len(sizes), options.maps)
        self.bias = nn.Parameter(torch.zeros(()))

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        pooled_B: Tensor = self.interaction(embedded_BFD)
        return pooled_B + self.bias

    def flops(self) -> int:
        """d·Σ H_{k-1}·m·H_k: the layers as published, before the last one is folded."""
        return self.options.embedding_size * self.interaction.products()

    def interaction_parameters(self) -> int:
        """Σ H_{k-1}·m·H_k and the readout."""
        return self.interaction.products() + sum(self.interaction.maps) + 1
