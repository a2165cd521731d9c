"""Wide&Deep: a weight per id beside a perceptron over the embeddings.

    logit = Σ_f w[id_f] + MLP([e_1, …, e_m])

Paper: Cheng et al., Wide & Deep Learning for Recommender Systems (DLRS 2016); eq. 1 of ECKD (Zhu et al., CIKM 2020), LR
+ DNN. The cross-product features that the paper adds to its wide half are made by hand, and no data here has any. The
perceptron's output unit holds the one bias. Cost per row with m fields, d dimensions, hidden widths n_1 … n_k
(n_0 = m·d): Σ n_{i-1}·n_i + n_k multiplications; the linear part only adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from training.layers.embedding import FieldEmbedding
from training.layers.mlp import MLP
from training.models.base import CTRModel, PerceptronOptions
from training.models.registry import register


@register("wide_deep")
class WideDeep(CTRModel):
    """logit = linear + MLP."""

    Options = PerceptronOptions

    def __init__(self, sizes: Sequence[int], options: PerceptronOptions) -> None:
        super().__init__(sizes, options)
        self.linear = FieldEmbedding(sizes, 1)
        self.mlp = MLP(len(sizes) * options.embedding_size, options.hidden, dropout=options.dropout)

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Logits [B] of rows of ids."""
        linear_B: Tensor = self.linear(ids_BF).sum((1, 2))
        return linear_B + self.interact(self.embedding(ids_BF))

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of embedded rows, less the linear part."""
        deep_B: Tensor = self.mlp(embedded_BFD.flatten(1))
        return deep_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """The whole MLP."""
        return self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """A weight per id, and the MLP."""
        return self.linear.weight_VD.numel() + self.mlp.parameter_count()
