"""DeepFM: a factorization machine and a perceptron over the same embeddings.

    logit = Σ_f w[id_f] + Σ_{i<j} ⟨e_i, e_j⟩ + MLP([e_1, …, e_m])

Paper: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction (IJCAI 2017), eq. 1-4; eq. 2
of ECKD (Zhu et al., CIKM 2020), where it is a teacher. The perceptron's output unit holds the one bias. Cost per row
with m fields, d dimensions, hidden widths n_1 … n_k (n_0 = m·d): (m + 1)·d + 1 + Σ n_{i-1}·n_i + n_k multiplications;
the linear part only adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from training.layers.embedding import FieldEmbedding
from training.layers.fm import multiplications, pairwise_products
from training.layers.mlp import MLP
from training.models.base import CTRModel, PerceptronOptions
from training.models.registry import register


@register("deepfm")
class DeepFM(CTRModel):
    """logit = linear + inner products + MLP."""

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
        return deep_B + pairwise_products(embedded_BFD)

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """(m + 1)·d + 1 and the whole MLP."""
        return multiplications(self.fields, self.options.embedding_size) + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """A weight per id, and the MLP."""
        return self.linear.weight_VD.numel() + self.mlp.parameter_count()
