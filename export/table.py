"""The embedding table in a graph: read in parts by a serving form, referred to in a file by the exported graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from torch import Tensor, nn

from service.bundle import DATA_AT, EmbeddingTable
from training.layers.embedding import FieldEmbedding


class TablePart(nn.Module):
    """ids [N, some fields] → embeddings [N, some fields, D], of consecutive fields, from the table of all fields.

    Every part of a model's table is the same table in the graph, so that the graph holds or names it once.
    """

    offsets_F: Tensor

    def __init__(self, embedding: FieldEmbedding, fields: slice) -> None:
        super().__init__()
        self.weight_VD = nn.Parameter(embedding.weight_VD.detach(), requires_grad=False)
        self.register_buffer("offsets_F", embedding.offsets_F[fields].clone())

    def forward(self, ids_NF: Tensor) -> Tensor:
        """Embeddings [N, some fields, D]."""
        return nn.functional.embedding(ids_NF + self.offsets_F, self.weight_VD)


class TableError(ValueError):
    """A graph does not use the table it is said to use."""


def refer_to_table(model: onnx_ir.Model, embedding: EmbeddingTable) -> None:
    """Replace every copy of the table that the graph holds by one reference to the file it will stand in.

    Raises:
        TableError: the graph holds no such table.
    """
    graph = model.graph
    held = [value for value in graph.initializers.values() if _is_table(value, embedding.rows_VD)]
    if not held:
        raise TableError(f"the graph holds no table equal to the given one of shape {embedding.rows_VD.shape}")
    for value in held:
        del graph.initializers[str(value.name)]
    stored = {name: _reference(name, array) for name, array in embedding.arrays.items()}
    for reference in stored.values():
        graph.register_initializer(reference)
        graph.inputs.append(reference)  # as service/scoring/shared_table.py needs it
    (rows,) = stored.values()
    for value in held:
        onnx_ir.convenience.replace_all_uses_with(value, rows)


def _is_table(value: onnx_ir.Value, rows_VD: npt.NDArray[Any]) -> bool:
    tensor = value.const_value
    return tensor is not None and tuple(tensor.shape) == rows_VD.shape and np.array_equal(tensor.numpy(), rows_VD)


def _reference(file: str, array: npt.NDArray[Any]) -> onnx_ir.Value:
    """An initializer, named like the file of the bundle that has its numbers: no other name ends in .npy."""
    kind, shape = onnx_ir.DataType.from_numpy(array.dtype), onnx_ir.Shape(array.shape)
    tensor = onnx_ir.ExternalTensor(file, DATA_AT, array.nbytes, kind, shape=shape, name=file)
    return onnx_ir.Value(name=file, type=onnx_ir.TensorType(kind), shape=shape, const_value=tensor)
