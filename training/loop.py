"""fit(): the one training loop. It knows batches and an objective, and nothing about phases or teachers.

Each epoch ends with one atomic file holding model, optimiser, best model and history, so a run killed at any moment
resumes at the last finished epoch and arrives at the same numbers. Validation decides which epoch is kept; the test
split is not known here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from service.bundle import replace_file
from training.allocator import keep_freed_memory
from training.averaging import average_of, kept_modules
from training.config import FitOptions
from training.data.batches import TensorRows, epoch_batches
from training.denormals import denormals_flushed
from training.events import EventLog, Pace
from training.models.base import CTRModel
from training.objective import Objective
from training.optimizers import optimizer_of
from training.progress import Progress
from training.state import History, State

_CHECK_EVERY = 32


class DivergedError(RuntimeError):
    """The loss is no longer finite."""


@denormals_flushed()
def fit(
    model: CTRModel,
    train: TensorRows,
    objective: Objective,
    options: FitOptions,
    *,
    directory: Path,
    seed: int,
    progress: Progress,
    identity: Mapping[str, str] | None = None,
) -> History:
    """Train until the deciding metric stops improving; the model ends with the weights of its best epoch.

    Args:
        model: trained in place; parameters that need no gradient stay as they are.
        train: rows the loss's row numbers refer to.
        objective: the loss of a batch, and the metric that decides when to stop and which epoch to keep.
        options: optimiser, batch size, stopping.
        directory: where `last.safetensors`, `metrics.jsonl` and the event file are kept; an unfinished run there is
            resumed.
        seed: orders the batches.
        progress: is told of batches and epochs.
        identity: digests of what the phase starts from; an unfinished run with others is not continued.

    Raises:
        CheckpointError: the unfinished run there started from something else.
        DivergedError: a loss or a validation metric is not finite; the last good epoch stays on disk.
    """
    keep_freed_memory()
    trainer = Trainer(model, train, objective, options, seed=seed, progress=progress)
    path = directory / "last.safetensors"
    state = State(path, trainer.modules, trainer.optimizer, identity or {}, trainer.averaged)
    history = state.load()
    _write_metrics(directory, history)  # a kill may have come between the state and its metrics
    events = EventLog(directory, finished=len(history.epochs) * trainer.steps)
    while not history.exhausted(options):
        epoch = len(history.epochs)
        train_loss = trainer.run(epoch, events)
        metrics = objective.metrics(cast("CTRModel", trainer.kept["model"]))
        _require_finite_metrics(metrics, epoch, trainer.steps)
        score = metrics[objective.decides] * (1 if objective.higher_is_better else -1)
        validated = {f"validation_{name}": value for name, value in metrics.items()}
        if history.add({"epoch": epoch, "train_loss": train_loss, **validated}, score):
            state.keep_best(trainer.kept)
        told = {f"validation/{name}": value for name, value in metrics.items()}
        events.add((epoch + 1) * trainer.steps, {"train/epoch_loss": train_loss, **told})
        events.flush()  # before the state: a kill between them leaves points that are cut, not points that are lost
        state.save(history)
        _write_metrics(directory, history)
        progress.epoch_done(history.epochs[-1], best_epoch=history.best_epoch)
    state.restore_best()
    return history


def _write_metrics(directory: Path, history: History) -> None:
    lines = "".join(json.dumps(line) + "\n" for line in history.epochs)
    replace_file(directory / "metrics.jsonl", lines.encode())


def learning_rate(options: FitOptions, epochs_done: float) -> float:
    """The step size after this many epochs, fractions included."""
    left = 1.0 if options.decay == "none" else 1.0 - epochs_done / options.max_epochs
    return options.learning_rate * left


class Trainer:
    """Everything that steps: the modules, their optimiser, their average."""

    def __init__(
        self,
        model: CTRModel,
        train: TensorRows,
        objective: Objective,
        options: FitOptions,
        *,
        seed: int,
        progress: Progress,
    ) -> None:
        self.model, self.train, self.loss, self.options = model, train, objective.loss, options
        self.seed, self.progress = seed, progress
        self.modules = nn.ModuleDict({"model": model, "companions": objective.companions})
        self.optimizer = optimizer_of(self.modules, options)
        self.averaged = average_of(self.modules, options.average)
        steps = math.ceil(len(train) / options.batch_size)
        self.steps = min(steps, options.max_steps_per_epoch or steps)
        """Of an epoch."""

    @property
    def kept(self) -> nn.ModuleDict:
        """What is validated and kept."""
        return kept_modules(self.modules, self.averaged)

    def run(self, epoch: int, events: EventLog | None = None) -> float:
        """One pass over the training rows; returns the mean loss per batch."""
        torch.manual_seed(self.seed * 1_000_003 + epoch)
        self.modules.train()
        rows, batch_size = len(self.train), self.options.batch_size
        self.progress.epoch_starts(epoch, rows=min(rows, self.steps * batch_size))
        total, losses = torch.zeros(()), []
        pace = Pace(events)
        batches = islice(epoch_batches(rows, batch_size, seed=self.seed, epoch=epoch), self.steps)
        for step, rows_B in enumerate(batches, start=1):
            self._set_learning_rate(learning_rate(self.options, epoch + (step - 1) / self.steps))
            losses.append(self._step(rows_B))
            total += losses[-1]
            self.progress.advance(len(rows_B))
            pace.advance(len(rows_B))
            if step % _CHECK_EVERY == 0 or step == self.steps:
                _require_finite(losses, epoch, step)
                losses.clear()
                rate = self.optimizer.param_groups[0]["lr"]
                pace.tell(float(total), step, first=epoch * self.steps, learning_rate=rate)
        return float(total) / self.steps

    def _step(self, rows_B: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.precision == "bfloat16"):
            loss = self.loss(self.model, self.train.ids_NF[rows_B], rows_B)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.modules)
        return loss.detach()

    def _set_learning_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate


def _require_finite(losses: list[Tensor], epoch: int, step: int) -> None:
    """Raise DivergedError naming the first step whose loss is not finite; `step` is that of the last loss."""
    bad = (~torch.isfinite(torch.stack(losses))).nonzero()
    if len(bad):
        position = int(bad[0])
        raise DivergedError(
            f"loss is {float(losses[position])} at step {step - len(losses) + 1 + position} of epoch {epoch}; the "
            f"{epoch} epochs before it are kept. Lower learning_rate, or look at the rows of this step"
        )


def _require_finite_metrics(metrics: Mapping[str, float], epoch: int, steps: int) -> None:
    """The last update may spoil the weights after a loss that was finite."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise DivergedError(
                f"validation {name} is {value} after step {steps} of epoch {epoch}; the {epoch} epochs before it are "
                "kept. Lower learning_rate"
            )
