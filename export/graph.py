"""A serving form → ONNX bytes: fixed names, one dynamic axis N, pinned opset, the embedding table in its own file."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import onnx
import torch
from torch import nn

from export.table import refer_to_table
from service.bundle import EmbeddingTable

OPSET = 20


def to_onnx(
    form: nn.Module, context_fields: int, candidate_fields: int, embedding: EmbeddingTable | None = None
) -> bytes:
    """The graph of a form: context_ids int32 [1, Fc], candidate_ids int32 [N, Ff] → logits float32 [N].

    With `embedding`, the form's table, the graph refers to its file; without, it holds all its numbers itself.
    N is traced as a symbol with an example of 3: an example of 1 would be taken for a constant.
    """
    example = (torch.zeros(1, context_fields, dtype=torch.int32), torch.zeros(3, candidate_fields, dtype=torch.int32))
    dynamic: tuple[dict[int, Any], ...] = ({}, {0: torch.export.Dim("N", min=1, max=2**20)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in ("torch.onnx", "onnxscript"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        program = torch.onnx.export(
            form,
            example,
            dynamo=True,
            input_names=["context_ids", "candidate_ids"],
            output_names=["logits"],
            dynamic_shapes=dynamic,
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    if embedding is not None:
        refer_to_table(program.model, embedding)
    model = _without_origin(program.model_proto)
    onnx.checker.check_model(_without_files(model), full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _without_files(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as the checker takes it where its files are not at hand: what lies in one is an input alone."""
    checked = onnx.ModelProto()
    checked.CopyFrom(model)
    held = [tensor for tensor in model.graph.initializer if tensor.data_location != onnx.TensorProto.EXTERNAL]
    del checked.graph.initializer[:]
    checked.graph.initializer.extend(held)
    return checked


def _without_origin(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without what the exporter notes of its own run: stack traces with paths, names of Python classes.

    None of it is needed to run the graph, paths are nobody's business, and the same weights must give the same bytes.
    """
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    return model
