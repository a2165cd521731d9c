"""`python -m training reproduce`: train what the tables take, measure it, write one report.

STUDY/data/           the prepared click log
STUDY/trainings/      every training, by its key: what a killed or widened reproduction goes on from
STUDY/measured/       test figures, by the digests of the models that gave them
STUDY/report/         report.md, report.json, a picture per table
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from service.bundle import json_bytes, replace_file
from training.config import ConfigError, nearest
from training.progress import console
from training.reproduce.beyond import one_for_several
from training.reproduce.drawings import draw
from training.reproduce.eckd import ablation, ensembles, schemes, sizes, teachers_and_students
from training.reproduce.kd_dagfm import figure_4, figure_5, further_models, table_2, table_3, table_5
from training.reproduce.latencies import latencies
from training.reproduce.markdown import markdown
from training.reproduce.measure import Measure
from training.reproduce.report import report
from training.reproduce.rows import Table, trainings_of
from training.study.estimate import Estimate
from training.study.recipe import Training, in_order
from training.study.schedule import Done, carry_out_all
from training.study.settings import Settings
from training.study.store import Store

TABLES = {
    "table3": table_3,
    "models": further_models,
    "table2": table_2,
    "table5": table_5,
    "figure4": figure_4,
    "figure5": figure_5,
    "eckd2": schemes,
    "eckd3": teachers_and_students,
    "eckd4": ensembles,
    "eckd6": sizes,
    "eckd_figure3": ablation,
    "beyond": one_for_several,
}
"""What can be asked for, in the report's order."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Some tables of one study.

    Attributes:
        settings: the study's.
        store: where its trainings are kept.
        tables: what is asked for.
        workers: trainings at a time.
        command: how it was called, for the report.
    """

    settings: Settings
    store: Store
    tables: Sequence[Table]
    workers: int
    command: str

    def ordered(self) -> dict[str, Training]:
        """Every training the tables take, by key, each after what it needs."""
        trainings = trainings_of(self.tables, self.settings.study.seeds)
        return in_order(trainings, self.store.prepared.digest)

    def estimate(self) -> float:
        """Say what is to be done and how long it takes at most; returns the seconds."""
        ordered = self.ordered()
        missing = {key: each for key, each in ordered.items() if self.store.outcome(each) is None}
        estimate = Estimate(self.store, ordered)
        seconds = sum(estimate.seconds(training) for training in missing.values()) / self.workers
        console.print(
            f"{len(ordered)} trainings, {len(ordered) - len(missing)} of them finished; the rest takes at most "
            f"{duration(seconds)} with {self.workers} worker(s)",
            highlight=False,
        )
        return seconds

    def train(self) -> list[Done]:
        """Carry out what is not finished; returns the failures."""
        ordered = self.ordered()
        columns = (
            TextColumn("reproduce"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        failures: list[Done] = []
        with Bars(*columns, console=console, transient=True) as bars:
            task = bars.add_task("reproduce", total=len(ordered), left="")
            clock = _Clock(Estimate(self.store, ordered), self.store, ordered, self.workers)
            for done in carry_out_all(self.store, ordered, self.workers):
                clock.tell(done)
                bars.update(task, advance=1, left=clock.left())
                if done.outcome is None:
                    failures.append(done)
                    told = f"failed: {_name(done.training)}: {done.failure}"
                    console.print(told, style="red", highlight=False, markup=False)
        return failures

    def write(self, folder: Path) -> Path:
        """Measure what is finished and write the report; returns the page."""
        folder.mkdir(parents=True, exist_ok=True)
        measure = Measure(self.store)
        plain = report(self.settings, self.tables, measure, self._latencies())
        plain["command"] = self.command
        replace_file(folder / "report.json", json_bytes(plain, indent=2))
        pictures = draw(plain, self._gaps(), folder)
        page = folder / "report.md"
        replace_file(page, markdown(plain, pictures, self.command).encode())
        return page

    def _latencies(self) -> Mapping[str, Any]:
        """Label → onnxruntime timings, of the first seed's single models; the export measures them."""
        seed = self.settings.study.seeds[0]
        rows = [row for table in self.tables if table.name in ("table3", "models") for row in table.rows]
        paths = {
            row.label: str(self.store.folder(training) / "model.safetensors")
            for row in rows
            for training in row.trainings(seed)
            if len(row.members) == 1 and self.store.outcome(training) is not None
        }
        return latencies(self.store, paths, os.getloadavg()[0])

    def _gaps(self) -> dict[str, list[float]]:
        """Figure 3: the squared gap on validation after each epoch, of Table 2's students with the first seed."""
        seed = self.settings.study.seeds[0]
        curves: dict[str, list[float]] = {}
        for table in self.tables:
            if table.name != "table2":
                continue
            for row in table.rows:
                (training,) = row.trainings(seed)
                if training.recipe.teachers and self.store.outcome(training) is not None:
                    curves[row.label] = [epoch["validation_logit_gap"] for epoch in self.store.epochs(training)]
        return curves


class _Clock:
    """Tells each training's line and how long the rest will take, from the estimate and how it has held so far."""

    def __init__(self, estimate: Estimate, store: Store, ordered: Mapping[str, Training], workers: int) -> None:
        self._expected = {
            key: estimate.seconds(training) for key, training in ordered.items() if store.outcome(training) is None
        }
        self._workers = workers
        self._spent = self._foreseen = 0.0
        self._began = time.monotonic()

    def tell(self, done: Done) -> None:
        """A training ended: its line, unless it was finished before."""
        foreseen = self._expected.pop(done.key, None)
        if foreseen is None or done.outcome is None:
            return
        self._spent += done.outcome.seconds
        self._foreseen += foreseen
        outcome = done.outcome
        console.print(
            f"{_name(done.training):<44} {outcome.seconds:6.0f} s {outcome.epochs:3d} epochs  "
            f"AUC* {outcome.validation.get('validation_auc', float('nan')):.5f}"
            f"  log loss* {outcome.validation.get('validation_log_loss', float('nan')):.5f}   {self.left()}",
            highlight=False,
        )

    def left(self) -> str:
        """Time left, in words."""
        pace = self._spent / self._foreseen if self._foreseen else 1.0
        return f"{duration(sum(self._expected.values()) * pace / self._workers)} left"


def _name(training: Training) -> str:
    """A training in a line: teachers → model, how, seed."""
    recipe = training.recipe
    if recipe.start is not None:
        inner = _name(Training(recipe=recipe.start, seed=training.seed)).rsplit(" ", 1)[0]
        return f"{inner}, fine-tuned {training.seed}"
    teachers = "+".join(teacher.model.name for teacher in recipe.teachers)
    depth = getattr(recipe.model.options, "layers", None)
    model = recipe.model.name + ("" if depth is None else f"({depth})")
    return f"{teachers} → {model} {training.torch_seed}" if teachers else f"{model} {training.torch_seed}"


def duration(seconds: float) -> str:
    """3:05 h, 12 min, 40 s."""
    if seconds >= 3600:  # noqa: PLR2004 - an hour
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"  # noqa: PLR2004 - reads better


def tables_of(settings: Settings, names: Sequence[str]) -> list[Table]:
    """The tables asked for, all if none is named; raises ConfigError for a name that is none, also in [notes]."""
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        raise ConfigError(f"--only {unknown[0]}: no such table or figure; expected some of {list(TABLES)}")
    tables = [make(settings) for name, make in TABLES.items() if not names or name in names]
    _check_notes(settings, tables)
    return tables


def _check_notes(settings: Settings, tables: Sequence[Table]) -> None:
    """Every note is of a table, and of one of its rows if it is among those asked for."""
    labels = {table.name: ("all", *(row.label for row in table.rows)) for table in tables}
    for name, notes in settings.notes.items():
        if name not in TABLES:
            raise ConfigError(f"{settings.where}: [notes.{name}]: no such table{nearest(name, tuple(TABLES))}")
        for label in notes:
            if name in labels and label not in labels[name]:
                where = f"{settings.where}: [notes.{name}] {label!r}"
                raise ConfigError(f"{where}: no row is called that{nearest(label, labels[name])}")
