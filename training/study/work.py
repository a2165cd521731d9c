"""One training of a study, from its recipe to its outcome. Runs in a process of its own, on one thread."""

from __future__ import annotations

import shutil
import time

import torch

from training.config import DistillOptions
from training.data.batches import TensorRows
from training.lessons import click_lesson, distillation_lesson
from training.models.registry import build
from training.phase import Lesson, Phase, train
from training.study.recipe import Training
from training.study.store import Outcome, Store
from training.teachers.base import ModelTeacher
from training.teachers.cache import CachedTeacher


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


def discard(store: Store, training: Training) -> None:
    """Forget a training, so that it is made again."""
    shutil.rmtree(store.folder(training), ignore_errors=True)


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
    needed = [store.model(each) for each in training.needs]
    if recipe.start is not None:
        model = needed[-1].model.train()
    else:
        model = build(recipe.model.name, recipe.model.options.model_dump(), prepared.encoder.sizes)
    if isinstance(recipe.fit, DistillOptions):
        teachers = [
            CachedTeacher(
                ModelTeacher.of(store.key(training), trained), store.directory / "teacher_logits", prepared.digest
            )
            for training, trained in zip(training.needs, needed, strict=True)
        ]
        fields = len(prepared.encoder.schema.context)
        options = recipe.fit
        return distillation_lesson(
            model, teachers, rows, validation, options, seed=training.torch_seed, context_fields=fields
        )
    return click_lesson(model, rows, validation)
