"""AutoInt+: interacting layers of self-attention over fields, beside a perceptron over flat embeddings.

    logit = w · [e_1^(l), …, e_m^(l)] + MLP([e_1, …, e_m])        e_f^(l) after l interacting layers

Paper: AutoInt (Song et al., CIKM 2019); the interacting layer is layers/attention.py, the perceptron beside it makes
it the paper's AutoInt+. Cost per row with m fields, d dimensions, H heads of size a, hidden widths
n_1 … n_k: 4·m·d·Ha + (l-1)·4·m·(Ha)² to project, l·2m²(Ha + H) to attend, m·Ha to read out, Σ n_{i-1}·n_i + n_k for the
perceptron (n_0 = m·d). The paper's sizes are 3 layers, 2 heads, attention size 32.

Built as the equations are. The authors' program differs: ReLU on queries, keys, values and residual, products divided
by √a, layer normalisation of what comes out, and where asked for a weight per feature. There is one bias for both
parts, the perceptron's.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from training.layers.attention import InteractingLayer
from training.layers.mlp import MLP
from training.layers.readout import Readout
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class AutoIntPlusOptions(ModelOptions):
    """Options of AutoInt+."""

    layers: int = Option(ge=1, examples=[2])
    """Interacting layers."""
    heads: int = Option(ge=1, examples=[2])
    """H, heads of each layer."""
    attention_size: int = Option(ge=1, examples=[3])
    """a, numbers per field and head."""
    hidden: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(6, 5)])
    """Widths of the perceptron's hidden layers."""
    dropout: float = Option(default=0.0, ge=0, lt=1)
    """Share of the perceptron's hidden units left out at random in each training step."""


@register("autoint_plus")
class AutoIntPlus(CTRModel):
    """logit = readout of the attended embeddings + MLP; the MLP's output unit holds the bias."""

    Options = AutoIntPlusOptions

    def __init__(self, sizes: Sequence[int], options: AutoIntPlusOptions) -> None:
        super().__init__(sizes, options)
        attended = options.heads * options.attention_size
        widths = [options.embedding_size] + [attended] * (options.layers - 1)
        layers = [InteractingLayer(width, options.heads, options.attention_size) for width in widths]
        self.layers = nn.Sequential(*layers)
        self.readout = Readout(self.fields * attended, 1, bias=False)
        nn.init.xavier_normal_(self.readout.weight)
        self.mlp = MLP(self.fields * options.embedding_size, options.hidden, dropout=options.dropout)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        attended_BFA: Tensor = self.layers(embedded_BFD)
        read_B1: Tensor = self.readout(attended_BFA.flatten(1))
        logits_B: Tensor = read_B1[:, 0] + self.mlp(embedded_BFD.flatten(1))
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    @property
    def interacting_layers(self) -> list[InteractingLayer]:
        """The l interacting layers."""
        return [layer for layer in self.layers if isinstance(layer, InteractingLayer)]

    def flops(self) -> int:
        """Interacting layers with their softmax, readout, perceptron."""
        layers = sum(layer.multiplications(self.fields) for layer in self.interacting_layers)
        return layers + self.readout.in_features + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """4·d·Ha + (l-1)·4·(Ha)², the readout's m·Ha, the perceptron."""
        layers = sum(layer.parameter_count() for layer in self.interacting_layers)
        return layers + self.readout.in_features + self.mlp.parameter_count()
