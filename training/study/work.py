"""One training of a study, from its recipe to its outcome. Runs in a process of its own, on one thread."""

from __future__ import annotations

import time

import torch

from training.config import DistillOptions
from training.data.batches import TensorRows
from training.data.folds import Fold
from training.lessons import click_lesson, distillation_lesson
from training.models.base import CTRModel
from training.models.registry import build
from training.phase import Lesson, Phase, train
from training.study.recipe import Recipe, Training
from training.study.store import Outcome, Store
from training.teachers.base import ModelTeacher, Teacher
from training.teachers.cache import CachedTeacher

_FOLD_SEED = 2020
"""Deals rows to folds, the same for every seed of weights."""


def carry_out(store: Store, training: Training) -> Outcome:
    """Train it, unless it is finished; what it needs must be finished.

    Raises:
        CheckpointError: something it needs is not there, or was made from something else.
        DivergedError: the loss is not finite.
    """
    known = store.outcome(training)
    if known is not None:
        return known
    phase = _phase(store, training)
    began = time.monotonic()
    trained = train(phase, store.prepared, lambda: _lesson(store, training))
    epochs = store.epochs(training)
    outcome = Outcome(
        checkpoint=trained.digest,
        seconds=time.monotonic() - began,
        epochs=len(epochs),
        best_epoch=int(trained.meta["best_epoch"]),
        validation={key: value for key, value in trained.meta.items() if key.startswith("validation_")},
    )
    (phase.folder / "last.safetensors").unlink(missing_ok=True)  # the largest file, and of no use any more
    store.finish(training, outcome)
    return outcome


def _phase(store: Store, training: Training) -> Phase:
    lineage = {store.key(needed): store.model(needed).digest for needed in training.needs}
    return Phase(
        name="distill" if training.recipe.teachers else "finetune" if training.recipe.start else "teach",
        folder=store.folder(training),
        options=training.recipe.fit,
        seed=training.torch_seed,
        lineage=lineage,
        meta={"config": {"recipe": training.recipe.plain(), "seed": training.seed}},
        title=f"{training.recipe.model.name}, seed {training.torch_seed}",
    )


def _lesson(store: Store, training: Training) -> Lesson:
    recipe, prepared = training.recipe, store.prepared
    torch.manual_seed(training.torch_seed)
    rows, validation = TensorRows.of(prepared.rows("train")), TensorRows.of(prepared.rows("validation"))
    if recipe.start is not None:
        return click_lesson(store.model(training.needs[-1]).model.train(), rows, validation)
    model = _fresh(recipe, store)
    if isinstance(recipe.fit, DistillOptions):
        return distillation_lesson(
            model,
            _teachers(store, training),
            rows,
            validation,
            recipe.fit,
            seed=training.torch_seed,
            context_fields=len(prepared.encoder.schema.context),
        )
    fold = fold_of(training)
    if fold is not None:
        rows, validation = fold.split(rows, validation)
    return click_lesson(model, rows, validation)


def _fresh(recipe: Recipe, store: Store) -> CTRModel:
    return build(recipe.model.name, recipe.model.options.model_dump(), store.prepared.encoder.sizes)


def _teachers(store: Store, training: Training) -> list[Teacher]:
    """Finished teachers with their logits kept on disk, or fresh ones that will learn along."""
    if training.co_trains:
        return [ModelTeacher(recipe.model.name, _fresh(recipe, store)) for recipe in training.recipe.teachers]
    folder, digest = store.directory / "teacher_logits", store.prepared.digest
    return [
        CachedTeacher(ModelTeacher.of(store.key(needed), store.model(needed), fold_of(needed)), folder, digest)
        for needed in training.needs
    ]


def fold_of(training: Training) -> Fold | None:
    """The part of training and validation rows that a training holds out, if it is one on a partition."""
    if training.recipe.partition is None:
        return None
    index, folds = training.recipe.partition
    return Fold(index=index, folds=folds, seed=_FOLD_SEED)
