"""`python -m export.bench_native`: the native scorer against onnxruntime and against a bound of plain arithmetic.

One run, one thread, rounds alternating between the contenders, medians over rounds; every request has ids of its own,
so that embeddings come from where they would come from in production. The bound, native_bound.c, gathers the same rows
and does the same multiply-adds and nothing else. The native scorer is timed through its Python interface.
"""

from __future__ import annotations

import ctypes
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.table import Table

from export.bench_shapes import SHAPES, Requests, Round, Shape, graphs_of, medians
from export.parity import check_parity
from export.timing import SIZES
from export.weights import table_of, weights_of
from service.bundle import Weights
from service.scoring import NativeScorer
from training.models.dagfm import DAGFM
from training.progress import results, results_table

LARGEST_BLOCK = 32
"""Lanes of the bound on the widest machine."""
_CACHE_LINE = 16  # floats
_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-tree-loop-distribute-patterns", "-shared", "-fPIC")
"""The last but two keeps a row of 64 bytes from being copied by a call of memcpy."""


def main(
    kind: Annotated[str, typer.Option(help="inner or outer.")] = "outer",
    dimension: Annotated[int, typer.Option(help="D.")] = 16,
    layers: Annotated[int, typer.Option(help="Propagation layers.")] = 3,
    rounds: Annotated[int, typer.Option(help="Rounds per contender; the median counts.")] = 15,
) -> None:
    """Print microseconds and ratios for every shape and N."""
    for shape in SHAPES:
        model = cast("DAGFM", shape.model(f"dagfm_{kind}", {"embedding_size": dimension, "layers": layers}))
        results.print(_table(shape, kind, model, rounds))


def _table(shape: Shape, kind: str, model: DAGFM, rounds: int) -> Table:
    weights, embedding = cast("Weights", weights_of(model)), table_of(model)
    native = NativeScorer(weights, embedding, model.embedding.sizes, shape.context)
    check_parity(model, native, shape.context, "native")
    onnx = graphs_of(model, shape.context).scorers
    bound = Bound(model, weights, shape.context)
    title = f"{shape.label}: {shape.fields} fields, {shape.context} context, {kind}, {native.level}; µs and ratios"
    columns = (
        "bound",
        "native",
        "graph",
        "full rows",
        "native / bound",
        "graph / native",
        "full rows / native",
    )
    table = results_table(title, "N", *columns)
    for rows in SIZES:
        requests = Requests.of(shape, rows)
        contenders: dict[str, Round] = {"bound": bound.round(requests), "native": requests.scored_by(native)}
        contenders |= {name: requests.scored_by(scorer) for name, scorer in onnx.items()}
        table.add_row(str(rows), *_figures(medians(contenders, rounds)))
    return table


def _figures(took: Mapping[str, float]) -> list[str]:
    best = min(us for name, us in took.items() if name not in ("bound", "native"))
    bound, native, full = took["bound"], took["native"], took["full_rows"]
    times = [f"{us:.1f}" for us in (bound, native, best, full)]
    return [*times, f"{native / bound:.2f}", f"{best / native:.1f}", f"{full / native:.1f}"]


class Bound:
    """native_bound.c for one model: as many multiply-adds as its equations need, context once."""

    def __init__(self, model: DAGFM, weights: Weights, context: int) -> None:
        fields, dimension, candidates = model.fields, model.embedding.dimension, model.fields - context
        edges = candidates * (candidates + 1) // 2
        per_edge = dimension * (len(model.layers) * (1 if weights.q_LFFD is None else 2) + 1)  # 1: the connection
        self._table = table_of(model).rows_VD
        self._weights = np.ascontiguousarray(weights.p_LFFD).ravel()
        self._first_F = np.cumsum([0, *model.embedding.sizes[:-1]])
        self._scratch = np.zeros(LARGEST_BLOCK * candidates * dimension + _CACHE_LINE, np.float32)
        shared = (model.edges - edges) * per_edge
        self._numbers = [context, candidates, dimension, shared, edges * per_edge, edges * dimension]
        self._bound = _compiled()
        assert fields == context + candidates  # noqa: S101 - says what the numbers mean

    def round(self, requests: Requests) -> Round:
        """A round of all requests."""
        numbers = np.array([*self._numbers, *requests.candidates_RNF.shape[:2]], np.int64)
        arrays = (
            self._table,
            self._weights,
            self._first_F,
            self._scratch,
            requests.contexts_RF,
            requests.candidates_RNF,
            numbers,
        )
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]

        def run(_kept: object = arrays) -> None:
            self._bound(*pointers)

        return run


def _compiled() -> Any:
    """native_bound.c, compiled for this machine and loaded."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "bound.so"
        source = Path(__file__).with_name("native_bound.c")
        subprocess.run([*compiler, *_FLAGS, str(source), "-o", str(library)], check=True)
        bound = ctypes.CDLL(str(library)).bound
    bound.restype = ctypes.c_float
    return bound


if __name__ == "__main__":
    typer.run(main)
