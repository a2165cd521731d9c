"""FiBiNET: bilinear products of all pairs, of the embeddings and of the embeddings re-weighted, into a perceptron.

    logit = Σ_f w[id_f] + MLP([p_12, …, p_(m-1)m, q_12, …, q_(m-1)m])
    p_ij  = (e_i W) ⊙ e_j,  q_ij = (v_i W') ⊙ v_j        layers/bilinear.py; v: layers/senet.py

Paper: FiBiNET (Huang et al., RecSys 2019). Cost per row with m fields, d dimensions, P = m(m-1)/2 pairs, reduction r
and hidden widths n_1 … n_k: 2·((m-1)d² + P·d), or 2·P·(d² + d) if every pair has its matrix; m(1 + 2m/r + d) for the
re-weighting; 2·P·d·n_1 + Σ n_{i-1}·n_i + n_k for the perceptron, by far the most of it.

W and W' are apart: that is what the parameters in KD-DAGFM's Table 3 amount to; some libraries share one. The FLOPs
there count e_i W anew in each pair of i: 587.76M where `flops` says 570.12M (tests/training/models/test_fibinet.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from training.layers.bilinear import Bilinear, BilinearInteraction
from training.layers.embedding import FieldEmbedding
from training.layers.mlp import MLP
from training.layers.senet import SqueezeExcitation
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class FiBiNETOptions(ModelOptions):
    """Options of FiBiNET."""

    bilinear: Bilinear = "each"
    """Matrices of the bilinear products: one for all pairs, one for each left field, one for each interaction."""
    reduction: int = Option(default=3, ge=1, examples=[2])
    """r, how many fields share a unit of the excitation."""
    hidden: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(6, 5)])
    """Widths of the perceptron's hidden layers."""
    dropout: float = Option(default=0.0, ge=0, lt=1)
    """Share of hidden units left out at random in each training step."""


@register("fibinet")
class FiBiNET(CTRModel):
    """logit = linear + MLP of all bilinear products; the MLP's output unit holds the bias."""

    Options = FiBiNETOptions

    def __init__(self, sizes: Sequence[int], options: FiBiNETOptions) -> None:
        super().__init__(sizes, options)
        self.linear = FieldEmbedding(sizes, 1)
        self.senet = SqueezeExcitation(self.fields, options.reduction)
        self.interaction = BilinearInteraction(2, self.fields, options.embedding_size, options.bilinear)
        products = self.fields * (self.fields - 1) * options.embedding_size
        self.mlp = MLP(products, options.hidden, dropout=options.dropout)

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Logits [B] of rows of ids."""
        linear_B: Tensor = self.linear(ids_BF).sum((1, 2))
        return linear_B + self.interact(self.embedding(ids_BF))

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of embedded rows, less the linear part."""
        states_BCFD = torch.stack([embedded_BFD, self.senet(embedded_BFD)], dim=1)
        logits_B: Tensor = self.mlp(self.interaction(states_BCFD).flatten(1))
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """Re-weighting, both bilinear interactions, perceptron; e_i W counts once per left field."""
        senet = self.senet.multiplications(self.options.embedding_size)
        return senet + self.interaction.multiplications() + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """A weight per id, the re-weighting, both sets of matrices, the perceptron."""
        matrices = self.interaction.weight_CMDD.numel()
        return self.linear.weight_VD.numel() + self.senet.parameter_count() + matrices + self.mlp.parameter_count()
