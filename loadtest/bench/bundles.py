"""A model to measure: a DAGFM with random weights as a bundle, and as the graph an expert would export.

The one file here that knows how a bundle and its scorers are made.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.bench_shapes import Shape
from export.golden import SIZES
from export.graph import OPSET
from export.pack import Exported, export_model
from export.parity import model_logits, random_ids
from export.timing import DECIDING
from export.weights import weights_of
from service.bundle import (
    FIRST_VALUE_ID,
    Bundle,
    Calibration,
    Catalogue,
    Encoder,
    Field,
    Flops,
    Golden,
    Ids,
    Manifest,
    Role,
    Schema,
    StoredTable,
    Vocabulary,
    write_bundle,
)
from service.scoring import NativeScorer, NotBuiltError, OnnxScorer, Scorer, by_size, graph_scorers
from training.metrics import sigmoid
from training.models.base import CTRModel
from training.models.registry import build

DIMENSION, LAYERS = 16, 3
ITEMS = 20_000
"""Items of the catalogue, fewer where the fields cannot tell as many apart."""
EXAMPLE_ITEMS = 3
_EMBEDDING_STD = 0.3
"""Of the random embeddings: enough for probabilities that differ."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One model in every form that is measured."""

    shape: Shape
    root: Path
    """Where the bundle lies."""
    bundle: Bundle
    rows_graph: Path
    """Full rows `ids` int32 [N, F] → `logits` float32 [N], exported without further thought."""


def make_subject(shape: Shape, folder: Path, items: int = ITEMS) -> Subject:
    """A DAGFM-outer of this shape with random weights, written under `folder` as a bundle and as a graph of rows."""
    torch.manual_seed(0)
    encoder = _encoder(shape)
    options = {"embedding_size": DIMENSION, "layers": LAYERS}
    model = build("dagfm_outer", options, encoder.sizes).eval()
    torch.nn.init.normal_(model.embedding.weight_VD, std=_EMBEDDING_STD)
    bundle = _bundle(model, encoder, _catalogue(encoder, items))
    root, rows_graph = folder / "student", folder / "rows.onnx"
    write_bundle(root, bundle)
    rows_graph.write_bytes(_rows_graph(model))
    return Subject(shape=shape, root=root, bundle=bundle, rows_graph=rows_graph)


def _encoder(shape: Shape) -> Encoder:
    """Fields f0, f1, … of as many values each; the values of f3 are "f3_0", "f3_1", …."""
    values = shape.values // shape.fields - FIRST_VALUE_ID
    roles = [Role.CONTEXT if position < shape.context else Role.CANDIDATE for position in range(shape.fields)]
    schema = Schema(tuple(Field(name=f"f{position}", role=role) for position, role in enumerate(roles)))
    names = [field.name for field in schema.fields]
    return Encoder(schema, {name: Vocabulary(tuple(f"{name}_{value}" for value in range(values))) for name in names})


def _catalogue(encoder: Encoder, items: int) -> Catalogue:
    """Items named by seven digits; candidate ids are known values, uniform over each field's."""
    sizes = np.array(encoder.sizes[len(encoder.schema.context) :]) - FIRST_VALUE_ID
    candidate_ids_IF = random_ids(sizes.tolist(), items, seed=3) + FIRST_VALUE_ID
    return Catalogue([str(1_000_000 + 7 * item) for item in range(items)], candidate_ids_IF.astype(np.int32))


def _bundle(model: CTRModel, encoder: Encoder, catalogue: Catalogue) -> Bundle:
    context_fields = len(encoder.schema.context)
    exported = export_model(model, context_fields)
    contexts_GF = random_ids(encoder.sizes[:context_fields], len(SIZES), seed=4)
    candidates = [catalogue.candidate_ids_IF[:size] for size in SIZES]
    logits = [model_logits(model, context_F[None], ids) for context_F, ids in zip(contexts_GF, candidates, strict=True)]
    return Bundle(
        manifest=_manifest(model, encoder, exported),
        encoder=encoder,
        catalogue=catalogue,
        golden=Golden.of(contexts_GF, candidates, logits),
        example=_example(model, encoder, catalogue),
        model_onnx=exported.model_onnx,
        model_small_onnx=exported.model_small_onnx,
        embedding=exported.embedding,
        model_card="# Random weights, for measuring speed\n",
        weights=weights_of(model),
    )


def _manifest(model: CTRModel, encoder: Encoder, exported: Exported) -> Manifest:
    table_bytes = exported.embedding.nbytes
    flops = Flops(effective=model.flops(), executed=exported.executed, candidates=DECIDING, once=exported.once)
    return Manifest(
        name="bench",
        version="random",
        architecture=model.name,
        schema_digest=encoder.schema.digest,
        parameters=model.parameter_count(),
        flops=flops,
        graph=exported.graph,
        calibration=Calibration(),
        metrics={},
        lineage={"recipe": "loadtest/bench/bundles.py"},
        embedding=StoredTable(stored_as="float32", bytes=table_bytes, bytes_as_float32=table_bytes),
        files={},
    )


def _example(model: CTRModel, encoder: Encoder, catalogue: Catalogue) -> dict[str, Any]:
    """A raw request of every form, and the probabilities the model gives it."""
    schema, ids_NF = encoder.schema, catalogue.candidate_ids_IF[:EXAMPLE_ITEMS]
    context_ids: Ids = np.full((1, len(schema.context)), FIRST_VALUE_ID, np.int32)
    probabilities_N = sigmoid(model_logits(model, context_ids, ids_NF))
    return {
        "context": {field.name: f"{field.name}_0" for field in schema.context},
        "candidates": {
            field.name: [f"{field.name}_{value - FIRST_VALUE_ID}" for value in column_N]
            for field, column_N in zip(schema.candidate, ids_NF.T.tolist(), strict=True)
        },
        "items": list(catalogue.items[:EXAMPLE_ITEMS]),
        "probabilities": [round(float(probability), 7) for probability in probabilities_N],
    }


def onnx_scorer(bundle: Bundle) -> Scorer:
    """The bundle's own graphs in onnxruntime."""
    return by_size(graph_scorers(bundle, OnnxScorer), bundle.manifest.graph.small_up_to)


def native_scorer(bundle: Bundle) -> NativeScorer | None:
    """The native scorer on the bundle's weights; None without them, or where it is not built."""
    if bundle.weights is None or bundle.embedding is None:
        return None
    try:
        return NativeScorer(bundle.weights, bundle.embedding, bundle.encoder.sizes, len(bundle.schema.context))
    except NotBuiltError:
        return None


def _rows_graph(model: CTRModel) -> bytes:
    """The model on full rows as torch exports it when asked for nothing else."""
    example = (torch.zeros(3, model.fields, dtype=torch.int32),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            example,
            dynamo=True,
            input_names=["ids"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("N", min=1, max=2**20)},),
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    content: bytes = program.model_proto.SerializeToString()
    return content
