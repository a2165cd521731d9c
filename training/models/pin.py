"""PIN: a micro-network for each pair of fields, and a perceptron over the outputs of all of them.

    s_ij  = micro_ij([e_i, e_j, e_i ⊙ e_j])              i < j; layers/micro.py
    logit = MLP([s_12, …, s_(m-1)m])

Paper: Product-network In Network, in "Product-based neural networks for user response prediction over multi-field
categorical data" (Qu et al., TOIS 2018). Cost per row with m fields, d dimensions, P = m(m-1)/2 pairs, micro widths
s_1 … s_k and hidden widths n_1 … n_l: P·d for the products, P·(3d·s_1 + Σ s_{i-1}·s_i) and 3·P·s_i + 3 for
each normalisation, P·s_k·n_1 + Σ n_{i-1}·n_i + n_l for the perceptron.

The outputs are concatenated (summed, they would be the paper's NIFM, which has no perceptron), and the embeddings reach
the perceptron by way of the micro-networks alone. Layer normalisation stands between linear map and ReLU, over all
micro-networks of a row together as in the authors' program, with gains and shifts of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from training.layers.micro import MicroNetworks
from training.layers.mlp import MLP
from training.layers.pairs import field_pairs
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register

_INPUTS = 3  # both embeddings and their product


class PINOptions(ModelOptions):
    """Options of PIN."""

    micro: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(4, 3)])
    """Widths of each micro-network's layers."""
    hidden: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(6, 5)])
    """Widths of the perceptron's hidden layers."""
    dropout: float = Option(default=0.0, ge=0, lt=1)
    """Share of the perceptron's hidden units left out at random in each training step."""


@register("pin")
class PIN(CTRModel):
    """logit = MLP of all micro-networks' outputs."""

    Options = PINOptions
    first_P: Tensor
    second_P: Tensor

    def __init__(self, sizes: Sequence[int], options: PINOptions) -> None:
        super().__init__(sizes, options)
        first_P, second_P = field_pairs(self.fields)
        self.register_buffer("first_P", first_P, persistent=False)
        self.register_buffer("second_P", second_P, persistent=False)
        self.micro = MicroNetworks(len(first_P), _INPUTS * options.embedding_size, options.micro)
        self.mlp = MLP(len(first_P) * options.micro[-1], options.hidden, dropout=options.dropout)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        embedded_FBD = embedded_BFD.transpose(0, 1)
        first_PBD = embedded_FBD.index_select(0, self.first_P)
        second_PBD = embedded_FBD.index_select(0, self.second_P)
        outputs_BPY = self.micro(torch.cat([first_PBD, second_PBD, first_PBD * second_PBD], dim=2))
        logits_B: Tensor = self.mlp(outputs_BPY.flatten(1))
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """P·d for the products, the micro-networks, the perceptron."""
        products = self.micro.networks * self.options.embedding_size
        return products + self.micro.multiplications() + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """The micro-networks and the perceptron."""
        return self.micro.parameter_count() + self.mlp.parameter_count()
