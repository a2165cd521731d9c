"""What the benchmarks share: shapes of models, requests with ids of their own, and medians over alternating rounds.

Every request of a round has other ids, so that embeddings come from where they would come from in production. Rounds
alternate between the contenders, so that a slow moment hits all of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from export.forms import serving_forms
from export.graph import to_onnx
from export.parity import check_parity, random_ids
from export.weights import table_of
from service.bundle import Ids
from service.scoring import OnnxScorer, Scorer
from training.models.base import CTRModel
from training.models.registry import build

REQUESTS = 32
"""Different requests per round."""

Round = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a model to time."""

    label: str
    fields: int
    context: int
    values: int
    """Ids of all fields."""

    @property
    def sizes(self) -> list[int]:
        """Ids of each field."""
        return [self.values // self.fields] * self.fields

    def model(self, name: str, options: Mapping[str, Any]) -> CTRModel:
        """An untrained model of this shape, the same in every run; a student's connection mixes fields."""
        torch.manual_seed(0)
        model = build(name, options, self.sizes).eval()
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if parameter_name == "connect_FF":
                    parameter.add_(torch.randn_like(parameter) * 0.1)
        return model


SHAPES = (
    Shape(label="MovieLens-1M", fields=7, context=5, values=13_000),
    Shape(label="reference", fields=23, context=15, values=200_000),
    Shape(label="Criteo", fields=39, context=20, values=1_300_000),
)


@dataclass(frozen=True)
class Requests:
    """Some contexts [R, Fc] and their candidates [R, N, Fx]."""

    contexts_RF: Ids
    candidates_RNF: Ids

    @classmethod
    def of(cls, shape: Shape, rows: int, requests: int = REQUESTS) -> Requests:
        """Uniformly random ids."""
        candidates_RNF = random_ids(shape.sizes[shape.context :], requests * rows, seed=2)
        contexts_RF = random_ids(shape.sizes[: shape.context], requests, seed=1)
        return cls(contexts_RF, candidates_RNF.reshape(requests, rows, -1))

    def scored_by(self, scorer: Scorer) -> Round:
        """A round of all requests."""
        pairs = [
            (context_F[None], ids_NF) for context_F, ids_NF in zip(self.contexts_RF, self.candidates_RNF, strict=True)
        ]
        return lambda: [scorer.score(*pair) for pair in pairs]


@dataclass(frozen=True)
class Graphs:
    """Every serving form of a model as a verified graph, and its scorer."""

    onnx: Mapping[str, bytes]
    scorers: Mapping[str, Scorer]


def graphs_of(model: CTRModel, context_fields: int) -> Graphs:
    """Export and verify every form; raises ParityError where one is off."""
    candidate_fields = model.fields - context_fields
    forms = serving_forms(model, context_fields)
    embedding = table_of(model)
    onnx = {name: to_onnx(form, context_fields, candidate_fields, embedding) for name, form in forms.items()}
    scorers = {name: OnnxScorer(graph, embedding) for name, graph in onnx.items()}
    for name, scorer in scorers.items():
        check_parity(model, scorer, context_fields, name)
    return Graphs(onnx, scorers)


def medians(contenders: Mapping[str, Round], rounds: int, requests: int = REQUESTS) -> dict[str, float]:
    """Contender → median microseconds per request."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            run()  # the one before has left other things in the caches
            started = time.perf_counter_ns()
            run()
            took[name].append((time.perf_counter_ns() - started) / 1e3 / requests)
    return {name: statistics.median(times) for name, times in took.items()}
