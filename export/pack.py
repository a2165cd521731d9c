"""Pack: a trained model → a bundle, by way of every serving form it has.

Each form is exported, compared with the model, and timed; the fastest at N = 200 is kept, and beside it the fastest at
N = 1 where that is clearly another. A form that is off by more than the tolerance stops the export: a wrong form is a
mistake to be mended, not an option to be skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from export.card import model_card
from export.flops import executed_multiplications
from export.forms import serving_forms
from export.golden import example_request, golden_requests
from export.graph import OPSET, to_onnx
from export.parity import check_parity
from export.quantize import Served, served
from export.timing import DECIDING, faster_up_to, small_form, time_scorers
from export.weights import table_of, weights_of
from service.bundle import (
    Bundle,
    Calibration,
    EmbeddingTable,
    Flops,
    Graph,
    Ids,
    Manifest,
    Weights,
    encoder_files,
    write_bundle,
)
from service.scoring import OnnxScorer, Scorer, graph_scorers, prove
from training.checkpoint import Trained
from training.data.prepare import Prepared
from training.models.base import CTRModel
from training.progress import steps


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One model in its fastest verified form."""

    model_onnx: bytes
    """It refers to `embedding`."""
    model_small_onnx: bytes | None
    """For requests of up to `graph.small_up_to` candidates, where another form is clearly faster at N = 1."""
    embedding: EmbeddingTable
    graph: Graph
    executed: float
    """Multiplications per candidate at N = 200."""
    once: float
    """Multiplications per request, whatever its N."""
    gap: float
    """Largest |torch - onnxruntime| seen in a graph that is kept."""


Report = Callable[[str], None]
"""Told the name of each step before it begins."""

STEPS_PER_FORM = 2
STEPS_PER_MODEL = 2


def export_model(
    model: CTRModel,
    context_fields: int,
    report: Report = lambda _step: None,
    embedding: EmbeddingTable | None = None,
) -> Exported:
    """Export every serving form, verify each, time all, keep the fastest, and one for small requests if it pays.

    Args:
        model: what is to be served.
        context_fields: Fc.
        report: told the name of each step.
        embedding: the model's table as stored; as float32 if None.

    Raises:
        ParityError: a form does not compute what the model computes.
    """
    embedding = embedding or table_of(model)
    graphs: dict[str, bytes] = {}
    scorers: dict[str, Scorer] = {}
    gaps: dict[str, float] = {}
    for name, form in serving_forms(model, context_fields).items():
        report(f"write {name}")
        graphs[name] = to_onnx(form, context_fields, model.fields - context_fields, embedding)
        report(f"verify {name}")
        scorers[name] = OnnxScorer(graphs[name], embedding)
        gaps[name] = check_parity(model, scorers[name], context_fields, name)
    report("time all forms")
    timings = time_scorers(scorers, model.embedding.sizes, context_fields)
    fastest = min(timings, key=lambda name: timings[name][str(DECIDING)])
    small = small_form(timings, fastest)
    small_up_to = 0
    if small is not None:
        small_up_to = faster_up_to(scorers[small], scorers[fastest], model.embedding.sizes, context_fields)
    report("count multiplications")
    context_ids = np.zeros((1, context_fields), np.int32)
    return Exported(
        model_onnx=graphs[fastest],
        model_small_onnx=None if small is None else graphs[small],
        embedding=embedding,
        graph=Graph(
            form=fastest,
            opset=OPSET,
            timings_us=timings,
            small_form=small or "",
            small_up_to=small_up_to,
        ),
        executed=executed_multiplications(graphs[fastest], context_ids, DECIDING, embedding) / DECIDING,
        once=_once(graphs[fastest], context_ids, embedding),
        gap=max(gaps[name] for name in (fastest, small) if name),
    )


def pack(
    trained: Trained,
    prepared: Prepared,
    *,
    name: str,
    metrics: Mapping[str, float],
    root: Path,
    as_served: Served | None = None,
) -> Path:
    """Export `trained` and write it as the current bundle under `root`; returns the version's directory.

    Args:
        trained: the model and its checkpoint's meta.
        prepared: the data it was trained on.
        name: the bundle's name, as answers will show it.
        metrics: offline metrics to keep in the manifest.
        root: where versions of this bundle are kept.
        as_served: the model with its table as it is to be stored; as float32 if None.
    """
    as_served = as_served or served(trained.model, prepared)
    model = as_served.model
    context_fields = len(prepared.encoder.schema.context)
    steps_in_all = STEPS_PER_FORM * len(serving_forms(model, context_fields)) + STEPS_PER_MODEL
    with steps(f"export {name}", steps_in_all) as report:
        exported = export_model(model, context_fields, report, as_served.embedding)
    weights = weights_of(model)
    manifest = Manifest(
        name=name,
        version=_version(exported, weights, prepared),
        architecture=model.name,
        schema_digest=prepared.encoder.schema.digest,
        parameters=model.parameter_count(),
        flops=Flops(effective=model.flops(), executed=exported.executed, candidates=DECIDING, once=exported.once),
        graph=exported.graph,
        calibration=Calibration(),
        metrics={**metrics, "parity_gap": exported.gap},
        lineage=_lineage(trained, prepared),
        embedding=as_served.stored,
        files={},
    )
    bundle = Bundle(
        manifest=manifest,
        encoder=prepared.encoder,
        catalogue=prepared.catalogue,
        golden=golden_requests(model, prepared),
        example=example_request(model, prepared),
        model_onnx=exported.model_onnx,
        model_card=model_card(manifest, prepared.encoder.schema.fields),
        model_small_onnx=exported.model_small_onnx,
        embedding=exported.embedding,
        weights=weights,
    )
    for scorer in graph_scorers(bundle, OnnxScorer):
        prove(scorer, bundle.golden)
    return write_bundle(root, bundle)


def _once(model_onnx: bytes, context_ids: Ids, embedding: EmbeddingTable) -> float:
    """What a graph runs for no candidate at all: its cost is linear in N, so two points tell."""
    one, two = (executed_multiplications(model_onnx, context_ids, rows, embedding) for rows in (1, 2))
    return float(2 * one - two)


def _version(exported: Exported, weights: Weights | None, prepared: Prepared) -> str:
    """Twelve hex digits of everything that decides an answer: graphs, table, weights, schema, vocabulary, catalogue."""
    digest = hashlib.sha256(hashlib.sha256(exported.model_onnx).digest())
    if exported.model_small_onnx is not None:
        digest.update(hashlib.sha256(exported.model_small_onnx).digest())
    for _name, array in sorted(exported.embedding.arrays.items()):
        digest.update(hashlib.sha256(array.data).digest())
    if weights is not None:
        digest.update(hashlib.sha256(weights.to_bytes()).digest())
    for _name, content in sorted(encoder_files(prepared.encoder, prepared.catalogue).items()):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:12]


def _lineage(trained: Trained, prepared: Prepared) -> dict[str, Any]:
    started_from = {key: kept for key, kept in trained.meta.items() if key.split("-")[0] in {"teacher", "distilled"}}
    return {
        "recipe": trained.meta["config"],
        "phase": trained.meta["phase"],
        "best_epoch": trained.meta["best_epoch"],
        "checkpoint": trained.digest,
        **started_from,
        "data": {key: prepared.meta[key] for key in ("name", "digest", "rows", "click_rate", "source")},
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {package: version(package) for package in ("torch", "onnx", "onnxruntime", "numpy")},
    }
