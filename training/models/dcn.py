"""DCN: cross layers with a vector each, beside a perceptron.

    x_{l+1} = x_0 · (x_l · w_l) + b_l + x_l,    logit = v · x_L + MLP(x_0)          x_0 = [e_1, …, e_m]

Paper: Wang et al., Deep & Cross Network for Ad Click Predictions (ADKDD 2017), eq. 3-5; eq. 3 of ECKD (Zhu et al., CIKM
2020), where it is a teacher. The one linear unit over [x_L, last hidden layer] is v and the perceptron's output unit,
which holds the bias. Cost per row with m fields, d dimensions, l cross layers, hidden widths n_1 … n_k (n_0 = m·d):
2·l·m·d + Σ n_{i-1}·n_i + n_k multiplications, v not counted as for CrossNet; layers/vector_cross.py runs fewer.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field as Option
from torch import Tensor, nn

from training.layers.mlp import MLP
from training.layers.vector_cross import VectorCross
from training.models.base import CTRModel, PerceptronOptions
from training.models.registry import register


class DCNOptions(PerceptronOptions):
    """Options of DCN."""

    layers: int = Option(ge=1, examples=[2])
    """Cross layers; explicit interactions reach order layers + 1."""


@register("dcn")
class DCN(CTRModel):
    """logit = cross + MLP."""

    Options = DCNOptions

    def __init__(self, sizes: Sequence[int], options: DCNOptions) -> None:
        super().__init__(sizes, options)
        width = len(sizes) * options.embedding_size
        self.cross = VectorCross(width, options.layers)
        self.mlp = MLP(width, options.hidden, dropout=options.dropout)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        base_BX = embedded_BFD.flatten(1)
        logits_B: Tensor = self.cross(base_BX) + self.mlp(base_BX)
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """2·l·m·d and the whole MLP."""
        return self.cross.multiplications() + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """Two vectors per cross layer, v, and the MLP."""
        return self.cross.parameter_count() + self.mlp.parameter_count()
