"""The student's cost as curves: linear in the number of candidates, nearly flat in the number of context fields.

Each curve is the fastest graph at N = 200 and the native scorer, medians over alternating rounds, one thread.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from export.bench_shapes import Requests, Round, Shape, graphs_of, medians
from export.parity import check_parity
from export.timing import DECIDING
from export.weights import table_of, weights_of
from service.bundle import replace_file
from service.scoring import NativeScorer, Scorer

CANDIDATES = (100, 250, 500, 1000, 2000, 3000, 4000, 5000)
CONTEXT_FIELDS = (2, 5, 10, 15, 20, 30, 40)
CANDIDATE_FIELDS = 8
CONTEXT_ROWS = 1000
"""N of the curve against context fields."""
_REQUESTS = 4
_VALUES_PER_FIELD = 8_700
"""As in the reference shape: 200,000 ids over 23 fields."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Microseconds per request of each scorer at each place."""

    title: str
    across: str
    scorers: Mapping[str, Mapping[int, float]]


def plot_against_candidates(folder: Path, options: Mapping[str, Any], rounds: int) -> Path:
    """Cost against N, 23 fields of which 15 are context; returns the PNG."""
    shape = _shape(15)
    scorers = _scorers(shape, options)
    places = {rows: _rounds(scorers, shape, rows) for rows in CANDIDATES}
    title = f"Cost of one request against candidates\n{shape.label}, outer student, D = {options['embedding_size']}"
    curves = Curves(title=title, across="candidates N", scorers=_timed(places, rounds))
    return _draw(curves, folder / "cost_against_candidates.png")


def plot_against_context(folder: Path, options: Mapping[str, Any], rounds: int) -> Path:
    """Cost against the number of context fields, 8 candidate fields, at one N; returns the PNG."""
    shapes = {context: _shape(context) for context in CONTEXT_FIELDS}
    places = {context: _rounds(_scorers(shape, options), shape, CONTEXT_ROWS) for context, shape in shapes.items()}
    title = (
        f"Cost of one request against context fields\n{CANDIDATE_FIELDS} candidate fields, N = {CONTEXT_ROWS}, "
        f"outer student, D = {options['embedding_size']}"
    )
    curves = Curves(title=title, across="context fields", scorers=_timed(places, rounds))
    return _draw(curves, folder / "cost_against_context.png")


def _shape(context: int) -> Shape:
    fields = context + CANDIDATE_FIELDS
    label = f"{context} context and {CANDIDATE_FIELDS} candidate fields"
    return Shape(label=label, fields=fields, context=context, values=fields * _VALUES_PER_FIELD)


def _scorers(shape: Shape, options: Mapping[str, Any]) -> dict[str, Scorer]:
    """The fastest graph and the native scorer of an outer student."""
    model = shape.model("dagfm_outer", options)
    graphs = graphs_of(model, shape.context).scorers
    took = medians(_rounds(graphs, shape, DECIDING), 3, _REQUESTS)
    fastest = min(took, key=lambda form: took[form])
    weights = weights_of(model)
    if weights is None:
        raise TypeError(f"{model.name} has no native scorer: time a DAGFM whose connection is not dense")
    native = NativeScorer(weights, table_of(model), shape.sizes, shape.context)
    check_parity(model, native, shape.context, "native")
    return {"onnxruntime, fastest graph": graphs[fastest], f"native scorer, {native.level}": native}


def _rounds(scorers: Mapping[str, Scorer], shape: Shape, rows: int) -> dict[str, Round]:
    requests = Requests.of(shape, rows, _REQUESTS)
    return {name: requests.scored_by(scorer) for name, scorer in scorers.items()}


def _timed(places: Mapping[int, Mapping[str, Round]], rounds: int) -> dict[str, dict[int, float]]:
    """Scorer → place → microseconds; all places take turns, so that a slow moment bends no curve."""
    contenders = {f"{place} {name}": run for place, runs in places.items() for name, run in runs.items()}
    took = medians(contenders, rounds, _REQUESTS)
    names = next(iter(places.values()))
    return {name: {place: took[f"{place} {name}"] for place in places} for name in names}


def _draw(curves: Curves, path: Path) -> Path:
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(curves.title)
    for axes, (name, times) in zip(figure.subplots(1, len(curves.scorers)), curves.scorers.items(), strict=True):
        axes.plot(list(times), list(times.values()), marker="o")
        axes.set_title(name)
        axes.set_xlabel(curves.across)
        axes.set_ylabel("µs per request, one thread")
        axes.set_xlim(0)
        axes.set_ylim(0, 1.15 * max(times.values()))
        axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content.getvalue())
    return path
