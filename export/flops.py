"""Executed FLOPs: the multiplications an exported graph runs, counted from the graph at a stated N.

The convention is that of the effective count (KD-DAGFM's Table 3): a multiply-add counts once, additions alone,
comparisons and moves are free. A division counts as a multiplication, and so does one value of an elementary function
(exponential, logarithm, root, hyperbolic tangent), dear as it may be: the count stays one of the equations, whatever
polynomial a library takes. So sigmoid and softmax are two per output, an exponential and a division; a mean is one, its
division; layer normalisation of n numbers is 3n + 3: n squares, two means, a root, n divisions, n scales. A convolution
is counted with the zeros it is padded with.

Every shape is measured by running the graph, not inferred. What depends on no input is folded when the graph is loaded
and is not counted. An operator this file does not know is an error, never a silent zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from service.bundle import EmbeddingTable
from service.scoring.shared_table import SharedTable

MOVES = frozenset(
    {"Cast", "Concat", "Constant", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Shape", "Slice"}
    | {"Split", "Squeeze", "TopK", "Transpose", "Unsqueeze"}
    | {"Add", "CumSum", "Neg", "ReduceSum", "Sub", "Sum"}
    | {"Abs", "Clip", "Equal", "Greater", "Less", "Max", "MaxPool", "Min", "ReduceMax", "Relu", "Where"}
)
"""Operators without multiplications: moves, additions, comparisons."""
ONE_PER_OUTPUT = frozenset({"Mul", "Div", "Exp", "LeakyRelu", "Log", "Pow", "Reciprocal", "ReduceMean", "Sqrt", "Tanh"})
TWO_PER_OUTPUT = frozenset({"Sigmoid", "Softmax"})
PRODUCTS = frozenset({"MatMul", "Gemm"})

Shapes = Mapping[str, tuple[int, ...]]


def executed_multiplications(
    model_onnx: bytes, context_ids: npt.NDArray[np.int32], rows: int, embedding: EmbeddingTable | None = None
) -> int:
    """Multiplications of one run with `rows` candidates; divide by `rows` for the cost per candidate.

    Args:
        model_onnx: the graph.
        context_ids: of the run, [1, Fc].
        rows: N.
        embedding: the table if the graph refers to one.

    Raises:
        ValueError: the graph has an operator whose multiplications are not known here.
    """
    model = onnx.load_from_string(model_onnx)
    shapes = _shapes(model, context_ids, rows, embedding)
    live = {value.name for value in model.graph.input} - {tensor.name for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if live.isdisjoint(node.input):
            continue
        live.update(node.output)
        total += _multiplications(node, shapes)
    return total


def _multiplications(node: onnx.NodeProto, shapes: Shapes) -> int:
    outputs = int(np.prod(shapes[node.output[0]], dtype=np.int64))
    if node.op_type in MOVES:
        return 0
    if node.op_type in ONE_PER_OUTPUT:
        return outputs
    if node.op_type in TWO_PER_OUTPUT:
        return 2 * outputs
    if node.op_type in PRODUCTS:
        transposed = node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute)
        inner = shapes[node.input[0]][0 if transposed else -1]
        return outputs * inner
    if node.op_type == "Conv":
        return outputs * int(np.prod(shapes[node.input[1]][1:], dtype=np.int64))
    if node.op_type == "LayerNormalization":
        numbers = int(np.prod(shapes[node.input[1]], dtype=np.int64))
        return 3 * outputs + 3 * (outputs // numbers)
    raise ValueError(f"operator {node.op_type} in {node.name!r}: its multiplications are unknown; add it to {__name__}")


def _shapes(
    model: onnx.ModelProto, context_ids: npt.NDArray[np.int32], rows: int, embedding: EmbeddingTable | None
) -> Shapes:
    """Shape of every value when the graph runs with this context and `rows` candidates."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    known = {value.name for value in probe.graph.output}
    names = [name for node in probe.graph.node for name in node.output if name and name not in known]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3  # errors only: a table listed as an input is meant
    _table = SharedTable(embedding, options)  # held until the session is gone
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    candidate_fields = session.get_inputs()[1].shape[1]
    feeds = {"context_ids": context_ids, "candidate_ids": np.zeros((rows, candidate_fields), np.int32)}
    values = zip([output.name for output in session.get_outputs()], session.run(None, feeds), strict=True)
    initial = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return {**initial, **{name: value.shape for name, value in values}, **{n: v.shape for n, v in feeds.items()}}
