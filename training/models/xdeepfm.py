"""xDeepFM: a weight per feature, the compressed interaction network, and a perceptron over flat embeddings.

    logit = Σ_f w[id_f] + readout · pooled maps + MLP([e_1, …, e_m]) + b                    eq. 15

Paper: xDeepFM (Lian et al., KDD 2018); explicit interactions by CIN (layers/cin.py), implicit ones by the MLP
(layers/mlp.py). Cost per row with m fields, d dimensions, maps H_1 … H_l (H_0 = m) and hidden widths n_1 … n_k
(n_0 = m·d): d·Σ H_{i-1}·m·H_i + Σ n_{i-1}·n_i + n_k multiplications; the linear part only adds. The paper's sizes for
Criteo are 200 maps and 400 hidden units per layer.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from training.layers.cin import CompressedInteraction
from training.layers.embedding import FieldEmbedding
from training.layers.mlp import MLP
from training.models.base import CTRModel, PerceptronOptions
from training.models.registry import register


class XDeepFMOptions(PerceptronOptions):
    """Options of xDeepFM."""

    maps: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(5, 3)])
    """Feature maps of each CIN layer; explicit interactions reach order len(maps) + 1."""


@register("xdeepfm")
class XDeepFM(CTRModel):
    """logit = linear + CIN + MLP; the MLP's output unit holds the bias."""

    Options = XDeepFMOptions

    def __init__(self, sizes: Sequence[int], options: XDeepFMOptions) -> None:
        super().__init__(sizes, options)
        self.linear = FieldEmbedding(sizes, 1)
        self.interaction = CompressedInteraction(len(sizes), options.maps)
        self.mlp = MLP(len(sizes) * options.embedding_size, options.hidden, dropout=options.dropout)

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Logits [B] of rows of ids."""
        linear_B: Tensor = self.linear(ids_BF).sum((1, 2))
        return linear_B + self.interact(self.embedding(ids_BF))

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of embedded rows, less the linear part."""
        logits_B: Tensor = self.interaction(embedded_BFD) + self.mlp(embedded_BFD.flatten(1))
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """CIN as published, before its last layer is folded, and the whole MLP."""
        return self.options.embedding_size * self.interaction.products() + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """A weight per id, the CIN and its readout, the MLP."""
        linear, cin = self.linear.weight_VD.numel(), self.interaction.products() + sum(self.interaction.maps)
        return linear + cin + self.mlp.parameter_count()
