"""How long trainings will take: from the same recipe's finished ones, else from some steps that are timed here.

Steps of an unfinished recipe are timed as training on clicks and taken for as many epochs as it may have, so that the
estimate is what it takes at most; patience usually ends it sooner.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import torch

from training.config import FitOptions
from training.data.batches import TensorRows
from training.loop import DivergedError, Trainer
from training.models.registry import build
from training.objective import click_objective
from training.progress import Progress
from training.study.recipe import Recipe, Training
from training.study.store import Store

_STEPS = 12
_WARM_UP = 2


class Estimate:
    """Seconds of trainings, one thread.

    Args:
        store: knows the finished ones.
        ordered: key → training, of the whole study.
    """

    def __init__(self, store: Store, ordered: Mapping[str, Training]) -> None:
        self._rows = TensorRows.of(store.prepared.rows("train"))
        self._sizes = store.prepared.encoder.sizes
        self._per_epoch: dict[str, float] = {}
        self._known: dict[str, list[float]] = {}
        for training in ordered.values():
            outcome = store.outcome(training)
            if outcome is not None:
                self._known.setdefault(_words(training.recipe), []).append(outcome.seconds)

    def seconds(self, training: Training) -> float:
        """Of one training."""
        known = self._known.get(_words(training.recipe))
        if known:
            return statistics.fmean(known)
        fit = training.recipe.fit
        return self._epoch(training.recipe) * fit.max_epochs

    def _epoch(self, recipe: Recipe) -> float:
        alone = _words(replace(recipe, teachers=(), start=None, shift=0, partition=None, fit=_on_clicks(recipe)))
        if alone not in self._per_epoch:
            self._per_epoch[alone] = self._time_epoch(recipe)
        return self._per_epoch[alone]

    def _time_epoch(self, recipe: Recipe) -> float:
        """One epoch of the recipe's model on clicks, from the median of a few steps."""
        watch = _Watch()
        fit = recipe.fit.model_copy(update={"max_steps_per_epoch": _STEPS})
        torch.manual_seed(0)
        model = build(recipe.model.name, recipe.model.options.model_dump(), self._sizes)
        trainer = Trainer(model, self._rows, click_objective(self._rows, self._rows), fit, seed=0, progress=watch)
        with suppress(DivergedError):  # told when it is trained; its steps take what they take
            trainer.run(0)
        steps = math.ceil(len(self._rows) / recipe.fit.batch_size)
        return statistics.median(watch.steps[_WARM_UP:] or watch.steps) * steps


class _Watch(Progress):
    """Seconds of every step."""

    def __init__(self) -> None:
        super().__init__("estimate")
        self.steps: list[float] = []
        self._last = time.perf_counter()

    def epoch_starts(self, epoch: int, *, rows: int) -> None:
        """The clock starts."""
        super().epoch_starts(epoch, rows=rows)
        self._last = time.perf_counter()

    def advance(self, rows: int) -> None:
        """A step ends."""
        super().advance(rows)
        now = time.perf_counter()
        self.steps.append(now - self._last)
        self._last = now


def _words(recipe: Recipe) -> str:
    return json.dumps(recipe.plain(), sort_keys=True)


def _on_clicks(recipe: Recipe) -> FitOptions:
    return FitOptions(**{name: getattr(recipe.fit, name) for name in FitOptions.model_fields})
