"""One case in a process of its own: `python -m training.bench_training.measure '{"model": …}'` prints one line of JSON.

Timed are the steps of epochs of fit() itself, from the first batch to the last; validation and checkpoints are not.
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from training.bench import Stopwatch
from training.bench_training.cases import MODELS, SHAPES, STUDENTS, Case, draw_rows
from training.bench_training.library import LibraryModel, library_steps
from training.data.batches import TensorRows
from training.distillation import Distillation, TaughtRows, distillation_objective
from training.loop import fit
from training.models.base import CTRModel
from training.models.registry import build
from training.objective import Objective, click_objective, predict
from training.options import DistillOptions, FitOptions
from training.teaching import Known

_MOST_ROWS, _FEWEST_STEPS = 262_144, 3
_KIB = 1024
Passes = Callable[[TensorRows, int], list[float]]
"""(rows, how often) → seconds of each pass over them."""


def measure(case: Case) -> dict[str, float | list[float]]:
    """Rows per second (median, all repetitions) and the highest resident memory of the process in MiB."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    rows = draw_rows(case.shape, _MOST_ROWS)
    model = build(case.model, MODELS[case.model], SHAPES[case.shape])
    passes = _library(case, model) if case.trainer == "library" else _fit(case, model)
    probe = _first(rows, _FEWEST_STEPS * case.batch)
    seconds_per_step = min(passes(probe, 2)) / _FEWEST_STEPS  # the first pass makes gradients, moments, heap
    steps = max(_FEWEST_STEPS, math.ceil(case.seconds / seconds_per_step))
    part = _first(rows, steps * case.batch)
    rates = [len(part) / seconds for seconds in passes(part, case.repeats)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB
    return {"rows_per_second": statistics.median(rates), "rates": rates, "peak_mib": peak}


def _first(rows: TensorRows, count: int) -> TensorRows:
    whole = min(count, len(rows))
    return TensorRows(rows.ids_NF[:whole], rows.clicks_N[:whole])


def _library(case: Case, model: CTRModel) -> Passes:
    trained = LibraryModel(model, SHAPES[case.shape])
    optimizer = torch.optim.Adam([each for each in trained.parameters() if each.requires_grad], lr=1e-3)

    def passes(rows: TensorRows, count: int) -> list[float]:
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            library_steps(trained, optimizer, rows, case.batch)
            seconds.append(time.perf_counter() - began)
        return seconds

    return passes


def _fit(case: Case, model: CTRModel) -> Passes:
    if case.model in STUDENTS:
        model.embedding.weight_VD.requires_grad_(False)

    def passes(rows: TensorRows, count: int) -> list[float]:
        watch, objective, options = Stopwatch(), _objective(case, model, rows), _options(case, count)
        with tempfile.TemporaryDirectory() as folder:
            fit(model, rows, objective, options, directory=Path(folder), seed=0, progress=watch)
        return watch.seconds

    return passes


def _options(case: Case, epochs: int) -> FitOptions:
    return FitOptions.model_validate(
        {
            "learning_rate": 1e-3,
            "weight_decay": 1e-6,
            "batch_size": case.batch,
            "max_epochs": epochs,
            "patience": epochs,
            "precision": case.precision,
            "embedding_updates": case.updates,
        }
    )


def _objective(case: Case, model: CTRModel, rows: TensorRows) -> Objective:
    few = _first(rows, 1024)
    if case.model not in STUDENTS:
        return click_objective(rows, few)
    fixed = _options(case, 1).model_dump()
    options = DistillOptions(**fixed, click_weight=0.1, logit_weight=921.6)
    teacher = build("crossnet", MODELS["crossnet"], SHAPES[case.shape])
    known = [Known(predict(teacher, part.ids_NF)[:, None]) for part in (rows, few)]
    taught, seen = (TaughtRows(rows=part, teaching=each) for part, each in zip((rows, few), known, strict=True))
    return distillation_objective(Distillation(options, model, [teacher]), taught, seen, ["crossnet"])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Case(**json.loads(sys.argv[1])))) + "\n")
