"""Bench: what one training epoch takes, on the run's own data and with its own options. Timings, not results."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from training.config import Config, FitOptions, Model
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.distill import distillation_objective
from training.loop import fit
from training.models.base import CTRModel
from training.models.registry import build
from training.objective import Objective, click_objective
from training.progress import Progress


class _Stopwatch(Progress):
    """Seconds from the first batch of an epoch to its last, without validation and checkpoint."""

    def __init__(self) -> None:
        super().__init__("bench")
        self.seconds: list[float] = []
        self._left = 0
        self._began = 0.0

    def epoch_starts(self, epoch: int, *, rows: int) -> None:
        super().epoch_starts(epoch, rows=rows)
        self._left, self._began = rows, time.perf_counter()

    def advance(self, rows: int) -> None:
        self._left -= rows
        if self._left <= 0:
            self.seconds.append(time.perf_counter() - self._began)

    def epoch_done(self, metrics: object, *, best_epoch: int) -> None:
        """Say nothing."""


def epoch_times(prepared: Prepared, config: Config, epochs: int) -> Iterator[tuple[str, str, str, str, str]]:
    """One line per phase: model, phase, rows, median seconds of an epoch, rows per second."""
    train = TensorRows.of(prepared.rows("train"))
    few = TensorRows(train.ids_NF[:4096], train.clicks_N[:4096])
    teacher = build(config.teacher.name, config.teacher.options.model_dump(), prepared.encoder.sizes)
    phases: list[tuple[Model, str, FitOptions, Objective]] = [
        (config.teacher, "teach", config.teach, click_objective(train, few)),
        (config.student, "distill", config.distill, distillation_objective(teacher, train, few, config.distill)),
        (config.student, "finetune", config.finetune, click_objective(train, few)),
    ]
    fixed = {"max_epochs": epochs, "patience": epochs, "decay": "none"}
    for described, phase, options, objective in phases:
        model = build(described.name, described.options.model_dump(), prepared.encoder.sizes)
        model.embedding.weight_VD.requires_grad_(phase != "distill")
        seconds = _seconds_per_epoch(model, train, objective, options.model_copy(update=fixed))
        yield described.name, phase, f"{len(train):,}", f"{seconds:.2f}", f"{len(train) / seconds:,.0f}"


def _seconds_per_epoch(model: CTRModel, train: TensorRows, objective: Objective, options: FitOptions) -> float:
    watch = _Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        fit(model, train, objective, options, directory=Path(folder), seed=0, progress=watch)
    return statistics.median(watch.seconds)
