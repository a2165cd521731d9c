"""A phase: a model trained for an objective in a folder of its own, once, and read back ever after.

    last.safetensors    what a killed phase resumes from
    model.safetensors   the finished model; its presence says that the phase is done
    NAME.safetensors    models that were trained along with it
    metrics.jsonl       one line per epoch
    events.out.tfevents the same and more, for TensorBoard
    curves.png          the same, drawn

Phases know no run: `training.run` strings three of them together, a study many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.checkpoint import CheckpointError, Trained, load_model, save_model
from training.config import FitOptions
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.events import describe
from training.loop import fit
from training.models.base import CTRModel
from training.objective import Objective
from training.plots import plot_curves
from training.progress import console, phase_progress


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A model, the rows it is trained on, and what for."""

    model: CTRModel
    train: TensorRows
    objective: Objective
    along: Mapping[str, Lesson] = field(default_factory=dict)
    """What is trained by the same objective and kept as well, by name, as lessons of their own: only their metrics
    are used."""


Start = Callable[[], Lesson]
"""Makes the lesson; called only if the phase is not done yet, because reading rows takes time."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Where a phase stands and what it depends on.

    Attributes:
        name: shown in progress and kept in the checkpoint.
        folder: of the phase alone; made if it is not there.
        options: how to fit.
        seed: orders the batches.
        lineage: digests of what the phase starts from; a finished or unfinished phase with others is refused.
        meta: kept in the checkpoint beside them.
        title: of the drawing.
    """

    name: str
    folder: Path
    options: FitOptions
    seed: int
    lineage: Mapping[str, str]
    meta: Mapping[str, Any]
    title: str

    @property
    def checkpoint(self) -> Path:
        """Where the finished model stands."""
        return self.folder / "model.safetensors"

    def load(self, prepared: Prepared) -> Trained:
        """The finished model; raises CheckpointError if it is not there, damaged, or of another lineage."""
        trained = load_model(self.checkpoint, prepared)
        for key, digest in self.lineage.items():
            if trained.meta.get(key) != digest:
                raise CheckpointError(
                    f"{self.folder}: was made from {key} {trained.meta.get(key)}, the run now holds {digest}; "
                    f"remove {self.folder} to make it again"
                )
        return trained


def train(phase: Phase, prepared: Prepared, start: Start) -> Trained:
    """Run a phase to its end, or load it if it ended before.

    Raises:
        CheckpointError: what stands in the folder started from something else.
        DivergedError: the loss is not finite; the last good epoch stays on disk.
    """
    if phase.checkpoint.exists():
        console.print(f"{phase.name:>8} done before: {phase.checkpoint}", highlight=False)
        return phase.load(prepared)
    lesson = start()
    phase.folder.mkdir(parents=True, exist_ok=True)
    describe(phase.folder, phase.meta, {"phase": phase.name, "seed": phase.seed, **phase.options.model_dump()})
    with phase_progress(phase.name) as progress:
        history = fit(
            lesson.model,
            lesson.train,
            lesson.objective,
            phase.options,
            directory=phase.folder,
            seed=phase.seed,
            progress=progress,
            identity={**phase.lineage, "data": prepared.digest},
        )
    scores = _finish(lesson)
    plot_curves(history.epochs, phase.folder / "curves.png", best_epoch=history.best_epoch, title=phase.title)
    meta = {"phase": phase.name, **phase.meta, "best_epoch": history.best_epoch, **phase.lineage}
    for name, lesson_along in lesson.along.items():
        path = phase.folder / f"{name}.safetensors"
        save_model(path, lesson_along.model, prepared, {**meta, **_finish(lesson_along)})
    save_model(
        phase.checkpoint, lesson.model, prepared, {**meta, **scores}
    )  # last: its presence says that the phase is done
    return phase.load(prepared)


def _finish(lesson: Lesson) -> dict[str, float]:
    """Fill what training never touched; returns the validation metrics of the finished model."""
    lesson.model.fill_untrained(lesson.train.ids_NF)
    return {f"validation_{name}": value for name, value in lesson.objective.metrics(lesson.model).items()}
