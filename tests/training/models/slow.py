"""Equations in NumPy and explicit loops, shared by the tests of several models; a model to hold them against."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.layers.embedding import FieldEmbedding
from training.layers.mlp import MLP
from training.models.base import CTRModel
from training.models.registry import build

Row = npt.NDArray[np.float64]

SIZES = [4, 3, 5, 2]
DIMENSION = 3
IDS_BF = np.array([[0, 0, 0, 0], [3, 2, 4, 1], [1, 2, 3, 0], [2, 0, 1, 1]], np.int32)


def model_of(name: str, **options: Any) -> CTRModel:
    """A model in double precision whose every weight, biases too, is far from zero and from every other."""
    torch.manual_seed(0)
    model = build(name, options, SIZES).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return model


def numbers(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    """A parameter as NumPy."""
    return tensor.detach().numpy()


def looked_up(table: FieldEmbedding, ids_F: npt.NDArray[np.int32]) -> Row:
    """The rows of a table for one row of ids, [F, D]."""
    rows, first = [], 0
    for size, row_id in zip(table.sizes, ids_F, strict=True):
        rows.append(numbers(table.weight_VD)[first + row_id])
        first += size
    return np.array(rows)


def perceptron(mlp: MLP, state_X: Row) -> float:
    """The output of an MLP, unit by unit."""
    for linear in mlp.linears:
        state_X = np.array(
            [
                max(0.0, float(np.dot(row_X, state_X)) + bias)
                for row_X, bias in zip(numbers(linear.weight), numbers(linear.bias), strict=True)
            ]
        )
    return float(np.dot(numbers(mlp.output.weight)[0], state_X) + mlp.output.bias.item())


def logits(model: CTRModel) -> Row:
    """The model's logits of `IDS_BF`, [B]."""
    return numbers(model(torch.from_numpy(IDS_BF)))
