"""DAGFM+: the student of teachers that learn implicit interactions too; a perceptron reads the states.

    h^1 … h^{l+1}   the states of models/dag.py; inner or outer φ
    z = h^1 + … + h^{l+1}                              all orders of each field in one vector, [m, d]
    logit = MLP(z, flat)                               layers/mlp.py; its output unit holds the bias

Paper: Tian et al. (WSDM 2023), Table 5 and "KD-DAGFM+"; that the states are summed over the layers, and that inner
weights here start xavier normal instead of normal, is in the authors' code and not in the text. Cost per row with
E = m(m+1)/2 edges and hidden widths n_1 … n_k (n_0 = m·d): inner 2·E·d·l, outer 3·E·d·l, then Σ n_{i-1}·n_i + n_k
multiplications. Flat embeddings beside the states, as xDeepFM has them, were the alternative: twice the first layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from training.layers.mlp import MLP
from training.layers.propagation import GAIN, InnerPropagation, OuterPropagation
from training.models.dag import DAGModel, DAGOptions
from training.models.registry import register


class DAGFMPlusOptions(DAGOptions):
    """Options of both students."""

    hidden: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(6, 5)])
    """Widths of the perceptron's hidden layers."""
    dropout: float = Option(default=0.0, ge=0, lt=1)
    """Share of hidden units left out at random in each training step."""


class DAGFMPlus(DAGModel):
    """What the two students share; they differ in the propagation layer."""

    Options = DAGFMPlusOptions

    def __init__(self, sizes: Sequence[int], options: DAGFMPlusOptions) -> None:
        super().__init__(sizes, options)
        self.mlp = MLP(self.fields * options.embedding_size, options.hidden, dropout=options.dropout)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        summed_BFD = torch.stack(self.states(embedded_BFD)).sum(0)
        logits_B: Tensor = self.mlp(summed_BFD.flatten(1))
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """The layers' multiplications and the perceptron's."""
        return self.propagation_multiplications() + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """The layers, C, and the perceptron."""
        return self.propagation_parameters() + self.mlp.parameter_count()


@register("dagfm_plus_inner")
class DAGFMPlusInner(DAGFMPlus):
    """The student of teachers with a CIN."""

    propagation = InnerPropagation

    def __init__(self, sizes: Sequence[int], options: DAGFMPlusOptions) -> None:
        super().__init__(sizes, options)
        for layer in self.layers:
            # Standard normal vectors, as a student without perceptron starts with, would drown h^1 in later states.
            nn.init.xavier_normal_(layer.p_FSD, gain=GAIN)  # type: ignore[arg-type] # a module's attribute


@register("dagfm_plus_outer")
class DAGFMPlusOuter(DAGFMPlus):
    """The student of teachers with a CrossNet."""

    propagation = OuterPropagation
