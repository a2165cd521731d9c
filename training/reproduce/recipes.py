"""Recipes from a study's settings, in the words of both papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.study.recipe import Recipe
from training.study.settings import Settings

FOLDS = 9
"""Parts for teachers on partitions: with a split of 8:1:1, each trains on as many rows as an undivided teacher."""


def direct(settings: Settings, label: str, *, shift: int = 0, partition: int | None = None, **options: Any) -> Recipe:
    """A model trained on clicks alone; `partition` names the part of FOLDS that is held out."""
    held_out = None if partition is None else (partition, FOLDS)
    model = settings.model(label, **options)
    return Recipe(model=model, fit=settings.fit(label), shift=shift, partition=held_out)


def distilled(settings: Settings, teacher: str, student: str, **options: Any) -> Recipe:
    """KD-DAGFM: a student distilled by the squared logit gap on its teacher's embeddings."""
    model = settings.model(student, **options)
    return Recipe(model=model, fit=settings.distill(student), teachers=(direct(settings, teacher),))


def fine_tuned(settings: Settings, teacher: str, student: str, **options: Any) -> Recipe:
    """KD-DAGFM_FT: the same student, trained on clicks afterwards."""
    model = settings.model(student, **options)
    start = distilled(settings, teacher, student, **options)
    return Recipe(model=model, fit=settings.finetune(student), start=start)


def softly(settings: Settings, teachers: Sequence[Recipe], student: str, **changes: Any) -> Recipe:
    """ECKD: a student that learns from clicks and from its teachers' soft labels, or as `changes` of [soft] say."""
    model = settings.model(student)
    return Recipe(model=model, fit=settings.soft(student, **changes), teachers=tuple(teachers))


def three(settings: Settings) -> tuple[Recipe, ...]:
    """3T(M): DeepFM, DCN, xDeepFM."""
    return tuple(direct(settings, label) for label in ("deepfm", "dcn", "xdeepfm"))


def six(settings: Settings) -> tuple[Recipe, ...]:
    """6T(M): the same three with two seeds each."""
    return three(settings) + tuple(direct(settings, label, shift=1) for label in ("deepfm", "dcn", "xdeepfm"))


def six_kinds(settings: Settings) -> tuple[Recipe, ...]:
    """6T of the ablation of teacher gating: six architectures."""
    return three(settings) + tuple(direct(settings, label) for label in ("dnn", "wide_deep", "autoint_plus"))


def on_partitions(settings: Settings, count: int) -> tuple[Recipe, ...]:
    """3T(D) and 6T(D): the best single teacher on different partitions of training and validation rows."""
    best = settings.study.best_teacher
    return tuple(direct(settings, best, partition=part) for part in range(count))
