"""DNN: a perceptron over the concatenated embeddings and nothing else.

    logit = MLP([e_1, …, e_m])

The student of ECKD (Zhu et al., Ensembled CTR Prediction via Knowledge Distillation, CIKM 2020; 500 units in each of
five layers) and, with one or two narrow layers, the "Tiny MLP" of KD-DAGFM's Table 2. Cost per row with m fields,
d dimensions, hidden widths n_1 … n_k (n_0 = m·d): Σ n_{i-1}·n_i + n_k multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from training.layers.mlp import MLP
from training.models.base import CTRModel, PerceptronOptions
from training.models.registry import register


@register("dnn")
class DNN(CTRModel):
    """logit = MLP over flat embeddings."""

    Options = PerceptronOptions

    def __init__(self, sizes: Sequence[int], options: PerceptronOptions) -> None:
        super().__init__(sizes, options)
        self.mlp = MLP(len(sizes) * options.embedding_size, options.hidden, dropout=options.dropout)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        logits_B: Tensor = self.mlp(embedded_BFD.flatten(1))
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """Σ n_{i-1}·n_i + n_k."""
        return self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """The perceptron's."""
        return self.mlp.parameter_count()
