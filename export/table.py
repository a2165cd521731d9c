"""The embedding table in a graph: read in parts by a serving form, referred to in a file by the exported graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from torch import Tensor, nn

from service.bundle import DATA_AT, EmbeddingTable
from service.bundle.embedding import EMBEDDING, EMBEDDING_SCALE
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

    A table that is not stored as float32 is read by row: what is gathered is converted, nothing else.

    Raises:
        TableError: the graph holds no such table, or reads it in another way than row by row.
    """
    graph = model.graph
    embeddings_VD = embedding.embeddings()
    held = [value for value in graph.initializers.values() if _is_table(value, embeddings_VD)]
    if not held:
        raise TableError(f"the graph holds no table equal to the given one of shape {embedding.rows_VD.shape}")
    for value in held:
        del graph.initializers[str(value.name)]
    stored = {name: _reference(name, array) for name, array in embedding.arrays.items()}
    for reference in stored.values():
        graph.register_initializer(reference)
        graph.inputs.append(reference)  # as service/scoring/shared_table.py needs it
    for value in held:
        if embedding.stored_as == "float32":
            onnx_ir.convenience.replace_all_uses_with(value, stored[EMBEDDING])
            continue
        for use in list(value.uses()):
            _read_stored(graph, use.node, stored)


def _read_stored(graph: onnx_ir.Graph, gather: onnx_ir.Node, stored: Mapping[str, onnx_ir.Value]) -> None:
    """Let a Gather take stored rows, and turn what it took into float32: Cast, and for int8 Mul by gathered scales."""
    if gather.op_type != "Gather" or gather.attributes.get_int("axis", 0) != 0:
        raise TableError(f"the graph reads the table by {gather.op_type}, expected Gather along its rows")
    rows, uses = gather.outputs[0], list(gather.outputs[0].uses())
    gather.replace_input_with(0, stored[EMBEDDING])
    nodes = [onnx_ir.node("Cast", [rows], {"to": onnx_ir.DataType.FLOAT})]
    if EMBEDDING_SCALE in stored:
        scales = onnx_ir.node("Gather", [stored[EMBEDDING_SCALE], gather.inputs[1]], {"axis": 0})
        nodes += [scales, onnx_ir.node("Mul", [nodes[0].outputs[0], scales.outputs[0]])]
    graph.insert_after(gather, nodes)
    for use in uses:
        use.node.replace_input_with(use.idx, nodes[-1].outputs[0])
    # What follows keeps the type it had; what the Gather itself gives has the stored one now.
    rows.type = stored[EMBEDDING].type


def _is_table(value: onnx_ir.Value, embeddings_VD: npt.NDArray[Any]) -> bool:
    tensor = value.const_value
    if tensor is None or tuple(tensor.shape) != embeddings_VD.shape:
        return False
    return np.array_equal(tensor.numpy(), embeddings_VD)


def _reference(file: str, array: npt.NDArray[Any]) -> onnx_ir.Value:
    """An initializer, named like the file of the bundle that has its numbers: no other name ends in .npy."""
    kind, shape = onnx_ir.DataType.from_numpy(array.dtype), onnx_ir.Shape(array.shape)
    tensor = onnx_ir.ExternalTensor(file, DATA_AT, array.nbytes, kind, shape=shape, name=file)
    return onnx_ir.Value(name=file, type=onnx_ir.TensorType(kind), shape=shape, const_value=tensor)
