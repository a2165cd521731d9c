"""Recipes: what is trained and how, down to the trainings it starts from. A recipe with a seed is one training.

A training is known by a key, the digest of its recipe, its seed, and the data: the same words always name the same
folder, so a study that is killed, widened or asked for another table trains only what no earlier one has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from training.config import DistillOptions, FitOptions, Model

_FORMAT = 1
"""Part of every key; raised when the same words would no longer give the same training."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is trained, for any seed.

    Attributes:
        model: architecture and its options.
        fit: how to fit; with teachers, how to distil.
        teachers: what the model is distilled from; none means clicks alone.
        start: what the model continues from (fine-tuning); none means fresh weights.
        shift: added to the seed, so that an ensemble can hold the same recipe several times.
        partition: (i, k): training and validation rows are cut into k parts, the i-th is held out.
    """

    model: Model
    fit: FitOptions
    teachers: tuple[Recipe, ...] = ()
    start: Recipe | None = None
    shift: int = 0
    partition: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if bool(self.teachers) != isinstance(self.fit, DistillOptions):
            raise ValueError(f"{self.model.name}: a recipe has teachers if and only if its fit is a distillation")

    def plain(self) -> dict[str, Any]:
        """Everything as JSON; the absent and every default is left out, so that new options do not rename the old."""
        given: dict[str, Any] = {
            "model": self.model.name,
            "options": self.model.options.model_dump(mode="json", exclude_defaults=True),
            "fit": self.fit.model_dump(mode="json", exclude_defaults=True),
        }
        if self.teachers:
            given["teachers"] = [teacher.plain() for teacher in self.teachers]
        if self.start is not None:
            given["start"] = self.start.plain()
        if self.shift:
            given["shift"] = self.shift
        if self.partition is not None:
            given["partition"] = list(self.partition)
        return given


@dataclass(frozen=True, kw_only=True)
class Training:
    """A recipe with a seed: one model to be."""

    recipe: Recipe
    seed: int

    @property
    def needs(self) -> tuple[Training, ...]:
        """The trainings this one starts from, teachers first; teachers that learn along are none."""
        teachers = () if self.co_trains else self.recipe.teachers
        start = () if self.recipe.start is None else (self.recipe.start,)
        return tuple(Training(recipe=recipe, seed=self.seed) for recipe in (*teachers, *start))

    @property
    def co_trains(self) -> bool:
        """Whether the teachers are trained beside the student."""
        return isinstance(self.recipe.fit, DistillOptions) and self.recipe.fit.scheme == "co_train"

    @property
    def torch_seed(self) -> int:
        """Seeds weights and the order of batches."""
        return self.seed + 1_000 * self.recipe.shift

    def key(self, data_digest: str) -> str:
        """Sixteen hex digits that name this training on these data."""
        words = {"format": _FORMAT, "recipe": self.recipe.plain(), "seed": self.seed, "data": data_digest}
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:16]


def in_order(trainings: Iterator[Training], data_digest: str) -> dict[str, Training]:
    """Key → training, of these and of all they need, each once and after what it needs."""
    ordered: dict[str, Training] = {}

    def add(training: Training) -> None:
        key = training.key(data_digest)
        if key in ordered:
            return
        for needed in training.needs:
            add(needed)
        ordered[key] = training

    for training in trainings:
        add(training)
    return ordered
