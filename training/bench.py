"""Bench: what one training epoch takes, on the run's own data and with its own options. Timings, not results."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from training.config import Config, ConfigError, FitOptions
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.faculty import fresh
from training.lessons import click_lesson, distillation_lesson
from training.loop import fit
from training.models.registry import build
from training.phase import Lesson
from training.progress import Progress
from training.teachers.base import ModelTeacher


class Stopwatch(Progress):
    """Seconds from the first batch of an epoch to its last, without validation and checkpoint."""

    def __init__(self) -> None:
        super().__init__("bench")
        self.seconds: list[float] = []
        self._left = 0
        self._began = 0.0

    def epoch_starts(self, epoch: int, *, rows: int) -> None:
        """Start the watch."""
        super().epoch_starts(epoch, rows=rows)
        self._left, self._began = rows, time.perf_counter()

    def advance(self, rows: int) -> None:
        """Stop it at the last row."""
        self._left -= rows
        if self._left <= 0:
            self.seconds.append(time.perf_counter() - self._began)

    def epoch_done(self, metrics: object, *, best_epoch: int) -> None:
        """Say nothing."""


def epoch_times(prepared: Prepared, config: Config, epochs: int) -> Iterator[tuple[str, str, str, str, str]]:
    """One line per phase: model, phase, rows, median seconds of an epoch, rows per second."""
    train = TensorRows.of(prepared.rows("train"))
    few = TensorRows(train.ids_NF[:4096], train.clicks_N[:4096])
    described, fields = config.student, len(prepared.encoder.schema.context)
    sizes, seen = prepared.encoder.sizes, [each for each in config.teachers if each.model is not None]
    if not seen:
        raise ConfigError("no teacher of [[teachers]] is trained by the run; there is no distillation to time")
    students = [build(described.name, described.options.model_dump(), sizes) for _ in range(2)]
    taught = [ModelTeacher(each.name, fresh(each, prepared)) for each in seen]
    lesson = distillation_lesson(students[0], taught, train, few, config.distill, context_fields=fields)
    phases: list[tuple[str, FitOptions, Lesson]] = [("distill", config.distill, lesson)]
    if config.teach is not None:
        phases = [("teach", config.teach, click_lesson(fresh(each, prepared), train, few)) for each in seen] + phases
    if config.finetune is not None:
        phases.append(("finetune", config.finetune, click_lesson(students[1], train, few)))
    fixed = {"max_epochs": epochs, "patience": epochs, "decay": "none"}
    for phase, options, lesson in phases:
        seconds = _seconds_per_epoch(lesson, options.model_copy(update=fixed))
        rows = len(lesson.train)
        yield lesson.model.name, phase, f"{rows:,}", f"{seconds:.2f}", f"{rows / seconds:,.0f}"


def _seconds_per_epoch(lesson: Lesson, options: FitOptions) -> float:
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        fit(lesson.model, lesson.train, lesson.objective, options, directory=Path(folder), seed=0, progress=watch)
    return statistics.median(watch.seconds)
