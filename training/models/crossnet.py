"""CrossNet: cross layers over the concatenated embeddings, then one linear unit.

Paper: DCN V2 (Wang et al., WWW 2021), the cross part alone; the outer student's teacher in KD-DAGFM.
Cost per row with m fields, d dimensions, l layers: l·((md)² + md) multiplications, as many parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field as Option
from torch import Tensor, nn

from training.layers.cross import CrossLayer
from training.layers.readout import Readout
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class CrossNetOptions(ModelOptions):
    """Options of CrossNet."""

    layers: int = Option(ge=1, examples=[2])
    """Cross layers; interactions reach order layers + 1."""


@register("crossnet")
class CrossNet(CTRModel):
    """logit = w · x_L + b, x_L the state after L cross layers."""

    Options = CrossNetOptions

    def __init__(self, sizes: Sequence[int], options: CrossNetOptions) -> None:
        super().__init__(sizes, options)
        self.width = len(sizes) * options.embedding_size
        self.layers = nn.ModuleList(CrossLayer(self.width) for _ in range(options.layers))
        self.readout = Readout(self.width, 1)
        nn.init.xavier_normal_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        base_BX = state_BX = embedded_BFD.flatten(1)
        for layer in self.layers:
            state_BX = layer(base_BX, state_BX)
        logits_B1: Tensor = self.readout(state_BX)
        return logits_B1[:, 0]

    def hint_unit(self) -> nn.Linear:
        """Reads x_L."""
        return self.readout

    def flops(self) -> int:
        """l·((md)² + md)."""
        return len(self.layers) * (self.width**2 + self.width)

    def interaction_parameters(self) -> int:
        """l·((md)² + md) and the readout."""
        return len(self.layers) * (self.width**2 + self.width) + self.width + 1
