"""CTRModel: ids in, one logit per row out. The sigmoid is applied once, where an answer is built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, PositiveInt
from pydantic import Field as Option
from torch import Tensor, nn

from training.layers.embedding import FieldEmbedding


class ModelOptions(BaseModel):
    """Options every model has; each model's own class adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    embedding_size: int = Option(ge=1, examples=[4])
    """D, the length of one embedding."""


class PerceptronOptions(ModelOptions):
    """What models with a perceptron have besides."""

    hidden: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(6, 5)])
    """Widths of the perceptron's hidden layers."""
    dropout: float = Option(default=0.0, ge=0, lt=1)
    """Share of hidden units left out at random in each training step."""


class CTRModel(nn.Module, ABC):
    """A model is an embedding table and what it does with the embeddings of a row.

    Args:
        sizes: number of ids of each field, in schema order.
        options: an instance of the class's `Options`.
    """

    Options: ClassVar[type[ModelOptions]] = ModelOptions
    name: ClassVar[str]
    """The registered name."""

    def __init__(self, sizes: Sequence[int], options: ModelOptions) -> None:
        super().__init__()
        self.options = options
        self.embedding = FieldEmbedding(sizes, self.embedding_width(len(sizes), options))

    @classmethod
    def embedding_width(cls, fields: int, options: ModelOptions) -> int:  # noqa: ARG003 - field-aware models need it
        """Numbers per id in the table: D, but for models whose embeddings are aware of the other field."""
        return options.embedding_size

    @property
    def fields(self) -> int:
        """F."""
        return len(self.embedding.sizes)

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Logits [B] of rows of ids."""
        return self.interact(self.embedding(ids_BF))

    def fill_untrained(self, ids_NF: Tensor) -> None:
        """Give ids that no row of training used the mean of their field, in every table that was trained."""
        for table in self.modules():
            if isinstance(table, FieldEmbedding) and table.weight_VD.requires_grad:
                table.fill_untrained(table.count_uses(ids_NF))

    def hint_unit(self) -> nn.Linear:
        """The linear unit that reads the last hidden representation: its input [B, H] is the hint of ECKD's eq. 9.

        Raises:
            ValueError: the model has no hidden representation, its terms are summed as they are.
        """
        raise ValueError(f"model {self.name!r} has no hidden representation to hint at or with; distil soft labels")

    @abstractmethod
    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B] of embedded rows."""

    @abstractmethod
    def flops(self) -> int:
        """Effective FLOPs per row: the multiplications the equations need, the convention of KD-DAGFM's Table 3."""

    @abstractmethod
    def interaction_parameters(self) -> int:
        """Parameters apart from the embeddings, as Table 3 counts them: edges the DAG lacks are not counted."""

    def parameter_count(self) -> int:
        """Parameters in all, embeddings included."""
        return self.embedding.weight_VD.numel() + self.interaction_parameters()
