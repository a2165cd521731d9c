"""FGCNN: new features made by convolutions over fields, beside the raw ones, into an inner-product classifier.

    r     = generate([e'_1, …, e'_m])                    G new features; layers/generation.py
    x     = [e_1, …, e_m, r_1, …, r_G]                   N = m + G vectors of d numbers
    logit = MLP([x_1, …, x_N, ⟨x_1, x_2⟩, …, ⟨x_(N-1), x_N⟩])

Paper: Feature Generation by Convolutional Neural Network (Liu et al., WWW 2019); its classifier is IPNN. Cost per row
with Q = N(N-1)/2 and hidden widths n_1 … n_k: the generation, Q·d inner products, (N·d + Q)·n_1 + Σ n_{i-1}·n_i + n_k.

Each id has two embeddings as in the paper, one to generate from (e') and one to classify (e): gradients of the
convolutions leave the latter alone. They lie side by side in one table of 2·d numbers per id: one gather, and one table
to serve, to store in fewer bytes and to share. No batch normalisation in the classifier: a logit depends on its row
alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field as Option
from pydantic import PositiveInt, field_validator
from torch import Tensor, nn

from training.layers.generation import FeatureGeneration
from training.layers.inner_products import inner_products
from training.layers.mlp import MLP
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class FGCNNOptions(ModelOptions):
    """Options of FGCNN."""

    maps: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(3, 2)])
    """Feature maps of each convolution; each pools the fields, so that few fields allow few layers."""
    kernel: int = Option(ge=1, examples=[3])
    """Neighbouring fields that a convolution sees; odd."""
    pooling: int = Option(default=2, ge=2, examples=[2])
    """Fields that are pooled into one after each convolution."""
    new_features: int = Option(ge=1, examples=[2])
    """New features that each layer makes per field left."""
    hidden: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(6, 5)])
    """Widths of the perceptron's hidden layers."""
    dropout: float = Option(default=0.0, ge=0, lt=1)
    """Share of the perceptron's hidden units left out at random in each training step."""

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}, expected an odd number: as many fields on either side")
        return kernel


@register("fgcnn")
class FGCNN(CTRModel):
    """logit = MLP of raw and generated features and their inner products."""

    Options = FGCNNOptions

    def __init__(self, sizes: Sequence[int], options: FGCNNOptions) -> None:
        super().__init__(sizes, options)
        dimension = options.embedding_size
        self.generation = FeatureGeneration(
            self.fields,
            dimension,
            options.maps,
            kernel=options.kernel,
            pooling=options.pooling,
            new_features=options.new_features,
        )
        width = self.vectors * dimension + self.vectors * (self.vectors - 1) // 2
        self.mlp = MLP(width, options.hidden, dropout=options.dropout)

    @classmethod
    def embedding_width(cls, fields: int, options: ModelOptions) -> int:  # noqa: ARG003 - the base's signature
        """2·D: what classifies, then what features are generated from."""
        return 2 * options.embedding_size

    @property
    def vectors(self) -> int:
        """N, raw and generated features."""
        return self.fields + self.generation.generated

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of rows with both embeddings side by side."""
        raw_BFD, source_BFD = embedded_BFD.chunk(2, dim=2)
        vectors_BND = torch.cat([raw_BFD, self.generation(source_BFD)], dim=1)
        logits_B: Tensor = self.mlp(torch.cat([vectors_BND.flatten(1), inner_products(vectors_BND)], dim=1))
        return logits_B

    def hint_unit(self) -> nn.Linear:
        """Reads the perceptron's last hidden layer."""
        return self.mlp.output

    def flops(self) -> int:
        """The generation, Q·d inner products, the perceptron."""
        pairs = self.vectors * (self.vectors - 1) // 2
        products = pairs * self.options.embedding_size
        return self.generation.multiplications() + products + self.mlp.multiplications()

    def interaction_parameters(self) -> int:
        """The generation and the perceptron; the second embeddings count as embeddings."""
        return self.generation.parameter_count() + self.mlp.parameter_count()
