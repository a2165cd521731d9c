"""DCNv2: cross layers with a matrix each, beside a perceptron or before it.

    x_{l+1}  = x_0 ⊙ (W_l x_l + b_l) + x_l          x_0 = [e_1, …, e_m], layers/cross.py
    parallel:  logit = v · x_L + MLP(x_0)
    stacked:   logit = MLP(x_L)

Paper: Wang et al., DCN V2 (WWW 2021), eq. 1 and Figure 1; full matrices, not its low-rank mixture. Cost per
row with m fields, d dimensions, l cross layers, hidden widths n_1 … n_k (n_0 = m·d): l·((md)² + md) +
Σ n_{i-1}·n_i + n_k multiplications, v not counted as for CrossNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field as Option
from torch import Tensor, nn

from training.layers.cross import CrossLayer
from training.layers.mlp import MLP
from training.layers.readout import Readout
from training.models.base import CTRModel, PerceptronOptions
from training.models.registry import register


class DCNv2Options(PerceptronOptions):
    """Options of DCNv2."""

    layers: int = Option(ge=1, examples=[2])
    """Cross layers; explicit interactions reach order layers + 1."""
    structure: Literal["parallel", "stacked"] = "parallel"
    """The perceptron beside the cross layers, or after them."""


@register("dcnv2")
class DCNv2(CTRModel):
    """logit = cross + MLP, or MLP over cross; the MLP's output unit holds the bias."""

    Options = DCNv2Options

    def __init__(self, sizes: Sequence[int], options: DCNv2Options) -> None:
        super().__init__(sizes, options)
        self.width = len(sizes) * options.embedding_size
        self.layers = nn.ModuleList(CrossLayer(self.width) for _ in range(options.layers))
        self.mlp = MLP(self.width, options.hidden, dropout=options.dropout)
        self.readout: Readout | None = None
        if options.structure == "parallel":
            self.readout = Readout(self.width, 1, bias=False)
            nn.init.xavier_normal_(self.readout.weight)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        base_BX = state_BX = embedded_BFD.flatten(1)
        for layer in self.layers:
            state_BX = layer(base_BX, state_BX)
        if self.readout is None:
            stacked_B: Tensor = self.mlp(state_BX)
            return stacked_B
        logits_B: Tensor = self.readout(state_BX)[:, 0] + self.mlp(base_BX)
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """l·((md)² + md) and the whole MLP."""
        return self._cross_parameters() + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """l·((md)² + md), v if there is one, and the MLP."""
        readout = 0 if self.readout is None else self.width
        return self._cross_parameters() + readout + self.mlp.parameter_count()

    def _cross_parameters(self) -> int:
        return len(self.layers) * (self.width**2 + self.width)
