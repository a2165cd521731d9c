"""`python -m export.bench_forms`: every serving form against full rows, the student against teachers, cost as curves.

    forms       microseconds of every form of both students and both paper's teachers at every N, and which is chosen
    teachers    the outer student against CrossNet and xDeepFM of the same embedding size at N = 200
    curves      the student's cost against N and against the number of context fields, as PNG

One run, one thread, rounds alternating between the contenders, medians; ratios hold between machines, times do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from export.bench_curves import plot_against_candidates, plot_against_context
from export.bench_shapes import SHAPES, Graphs, Requests, Shape, graphs_of, medians
from export.flops import executed_multiplications
from export.timing import DECIDING, SIZES, time_scorers
from export.weights import table_of, weights_of
from service.scoring import NativeScorer
from training.models.base import CTRModel
from training.progress import console, results, results_table

STUDENT: Mapping[str, Any] = {"embedding_size": 16, "layers": 3}
MODELS: Mapping[str, Mapping[str, Any]] = {
    "dagfm_outer": STUDENT,
    "dagfm_inner": STUDENT,
    "crossnet": {"embedding_size": 16, "layers": 3},
    "xdeepfm": {"embedding_size": 16, "maps": [100, 100, 100], "hidden": [400, 400, 400]},
}
"""Models to time; xDeepFM with half of the maps that its paper uses for Criteo, and its perceptron."""
TEACHERS = ("crossnet", "xdeepfm")
REQUESTS = 4
"""Different requests per round where a teacher takes part."""


def main(
    rounds: Annotated[int, typer.Option(help="Rounds per contender; the median counts.")] = 7,
    plots: Annotated[Path, typer.Option(help="Where the curves are written.")] = Path("build/bench"),
) -> None:
    """Print the tables and write the curves."""
    for shape in SHAPES:
        models = {name: shape.model(name, options) for name, options in MODELS.items()}
        graphs = {}
        for name, model in models.items():
            graphs[name] = graphs_of(model, shape.context)
            results.print(forms_table(shape, name, graphs[name]))
        results.print(teachers_table(shape, models, graphs, rounds))
    for path in (plot_against_candidates(plots, STUDENT, rounds), plot_against_context(plots, STUDENT, rounds)):
        console.print(f"  {path}", highlight=False)


def forms_table(shape: Shape, name: str, graphs: Graphs) -> Table:
    """Microseconds of every form at every N, its ratio to full rows at the N that decides, and the chosen one."""
    timings = time_scorers(graphs.scorers, shape.sizes, shape.context)
    deciding = str(DECIDING)
    title = f"{shape.label}: {shape.fields} fields, {shape.context} context, {name}; µs"
    columns = [f"N = {rows}" for rows in SIZES]
    table = results_table(title, "form", *columns, f"full rows / form, N = {DECIDING}", "")
    chosen = min(timings, key=lambda form: timings[form][deciding])
    for form, times in timings.items():
        ratio = timings["full_rows"][deciding] / times[deciding]
        figures = [f"{times[str(rows)]:.1f}" for rows in SIZES]
        table.add_row(form, *figures, f"{ratio:.2f}", "chosen" if form == chosen else "")
    return table


def teachers_table(shape: Shape, models: Mapping[str, CTRModel], graphs: Mapping[str, Graphs], rounds: int) -> Table:
    """The outer student's shares of what teachers cost at N = 200, each model in its fastest form."""
    requests = Requests.of(shape, DECIDING, REQUESTS)
    fastest = {name: _fastest(graphs[name], requests, rounds) for name in ("dagfm_outer", *TEACHERS)}
    took = {name: us for name, (_form, us) in fastest.items()}
    took["native"] = _native_us(shape, models["dagfm_outer"], requests, rounds)
    executed = {name: _executed(graphs[name].onnx[form], models[name], shape) for name, (form, _us) in fastest.items()}
    title = f"{shape.label}: dagfm_outer / teacher in percent, N = {DECIDING}, fastest form each"
    columns = ("FLOPs, effective", "FLOPs, executed", "µs, graph", "µs, native")
    table = results_table(title, "teacher", *columns)
    for teacher in TEACHERS:
        shares = (
            models["dagfm_outer"].flops() / models[teacher].flops(),
            executed["dagfm_outer"] / executed[teacher],
            took["dagfm_outer"] / took[teacher],
            took["native"] / took[teacher],
        )
        table.add_row(teacher, *(f"{share:.1%}" for share in shares))
    return table


def _fastest(graphs: Graphs, requests: Requests, rounds: int) -> tuple[str, float]:
    """The fastest form and its microseconds."""
    contenders = {form: requests.scored_by(scorer) for form, scorer in graphs.scorers.items()}
    took = medians(contenders, rounds, REQUESTS)
    return min(took.items(), key=lambda item: item[1])


def _native_us(shape: Shape, student: CTRModel, requests: Requests, rounds: int) -> float:
    weights = weights_of(student)
    if weights is None:
        raise TypeError(f"{student.name} has no native scorer: time a DAGFM whose connection is not dense")
    native = NativeScorer(weights, table_of(student), shape.sizes, shape.context)
    return medians({"native": requests.scored_by(native)}, rounds, REQUESTS)["native"]


def _executed(graph: bytes, model: CTRModel, shape: Shape) -> float:
    context_ids = np.zeros((1, shape.context), np.int32)
    return executed_multiplications(graph, context_ids, DECIDING, table_of(model)) / DECIDING


if __name__ == "__main__":
    typer.run(main)
