"""Lessons: a model, rows, and what for, from functions of models, teachers, rows and options.

What a run and a study both build on: neither folders nor configurations are known here. A lesson's companions take
their first weights from torch's generator as it stands, so seed it before the student is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.data.batches import TensorRows
from training.data.folds import joined
from training.data.recombine import recombined
from training.distillation import Distillation, TaughtRows, distillation_objective
from training.models.base import CTRModel
from training.objective import click_objective
from training.options import DistillOptions
from training.phase import Lesson
from training.sections import ConfigError
from training.teachers.base import Teacher
from training.teaching import Asked, Known, Learning, Teaching


def click_lesson(model: CTRModel, train: TensorRows, validation: TensorRows) -> Lesson:
    """A model that learns from clicks alone: a teacher, a student without one, a student after distillation."""
    return Lesson(model=model, train=train, objective=click_objective(train, validation))


def distillation_lesson(
    student: CTRModel,
    teachers: Sequence[Teacher],
    train: TensorRows,
    validation: TensorRows,
    options: DistillOptions,
    *,
    seed: int = 0,
    context_fields: int = 0,
) -> Lesson:
    """A student that learns from teachers.

    Args:
        student: its embeddings become what `options.embeddings` says.
        teachers: at least one; with scheme "co_train" their models are trained, in place, beside the student.
        train: training rows.
        validation: rows on which epochs are compared; trained on as well if the options say so.
        options: what the loss is and how teachers are combined.
        seed: of the recombined rows.
        context_fields: how many of the fields are the context's; needed by recombined rows alone.

    Raises:
        ConfigError: student, teachers and options do not go together.
    """
    check(student, teachers, options)
    embed(student, teachers, options.embeddings)
    parts = {"train": train, "validation": validation} if options.train_on_validation else {"train": train}
    extra = recombined(train, context_fields, options.recombined_rows, seed) if options.recombined_rows else None
    heard_NT = heard(teachers, len(train), len(validation)) if options.logits == "out_of_fold" else None
    models = [teacher.model for teacher in teachers]
    learning = None
    if options.scheme == "co_train":
        learning = Learning([model for model in models if model is not None], hints=options.hint_weight > 0)
    faculty = _Faculty(teachers, options, learning)
    on_train = faculty.on(parts, extra, heard_NT)
    on_validation = faculty.on({"validation": validation}, None, None if heard_NT is None else heard_NT[len(train) :])
    companions = Distillation(options, student, models, learning)
    objective = distillation_objective(companions, on_train, on_validation, [teacher.name for teacher in teachers])
    along = {} if learning is None else _along(teachers, on_train.rows, validation)
    return Lesson(model=student, train=on_train.rows, objective=objective, along=along)


def _along(teachers: Sequence[Teacher], rows: TensorRows, validation: TensorRows) -> dict[str, Lesson]:
    """Teachers that learn along, by name."""
    named = {teacher.name: teacher.model for teacher in teachers}
    return {name: click_lesson(model, rows, validation) for name, model in named.items() if model is not None}


def check(student: CTRModel, teachers: Sequence[Teacher], options: DistillOptions) -> None:
    """Raise ConfigError unless these teachers can do what the options ask."""
    given = options.teacher_weights
    if given and len(given) != len(teachers):
        raise ConfigError(f"teacher_weights has {len(given)} numbers for {len(teachers)} teachers; give one for each")
    for teacher in teachers:
        wants_model = [f"hint_weight = {options.hint_weight}"] * bool(options.hint_weight)
        wants_model += [f"scheme = {options.scheme!r}"] * (options.scheme == "co_train")
        if teacher.model is None and wants_model:
            raise ConfigError(
                f"{wants_model[0]} needs the model of each teacher; teacher {teacher.name!r} is no model of ours"
            )
        wants_rows = [f"recombined_rows = {options.recombined_rows}"] * bool(options.recombined_rows)
        wants_rows += [f"teacher_logits = {options.teacher_logits!r}"] * (options.teacher_logits == "on_the_fly")
        if not teacher.knows_all_rows and wants_rows:
            raise ConfigError(
                f"{wants_rows[0]} needs a teacher that can be asked about any row; teacher {teacher.name!r} is a "
                "column of the prepared data"
            )
    if options.hint_weight:
        for model in (student, *(teacher.model for teacher in teachers)):
            _require_hint(model)


def embed(student: CTRModel, teachers: Sequence[Teacher], embeddings: str) -> None:
    """Give the student the table that `embeddings` says: the first teacher's, frozen or as a start, or its own.

    Raises:
        ConfigError: there is no such table, or it has another shape.
    """
    if embeddings == "own":
        return
    first = teachers[0]
    mine_VD = student.embedding.weight_VD
    if first.model is None or first.model.embedding.weight_VD.shape != mine_VD.shape:
        found = "no table of ours" if first.model is None else list(first.model.embedding.weight_VD.shape)
        raise ConfigError(
            f"embeddings = {embeddings!r} takes the table of the first teacher, {first.name!r}: {found}, the student's "
            f"is {list(mine_VD.shape)}; make them equal, or set embeddings = 'own'"
        )
    with torch.no_grad():
        mine_VD.copy_(first.model.embedding.weight_VD)
    mine_VD.requires_grad_(embeddings == "teacher_start")


def heard(teachers: Sequence[Teacher], train: int, validation: int) -> Tensor:
    """Which teachers count on the training and then the validation rows, bool [N, T]: those that were not trained on
    the row; all, where there is none such.
    """
    unseen_NT = torch.stack([teacher.unseen(train, validation) for teacher in teachers], dim=1)
    return unseen_NT | ~unseen_NT.any(1, keepdim=True)


@dataclass(frozen=True)
class _Faculty:
    """The teachers of one lesson, and how they are asked."""

    teachers: Sequence[Teacher]
    options: DistillOptions
    learning: Learning | None

    def on(self, parts: Mapping[str, TensorRows], extra: TensorRows | None, heard_NT: Tensor | None) -> TaughtRows:
        """The rows of the parts and then the extra ones, on which every teacher is heard."""
        rows = joined(*parts.values(), *([] if extra is None else [extra]))
        if heard_NT is not None:
            of_parts_NT = heard_NT[: sum(map(len, parts.values()))]
            rest_NT = torch.ones(len(rows) - len(of_parts_NT), len(self.teachers), dtype=torch.bool)
            heard_NT = torch.cat((of_parts_NT, rest_NT))
        return TaughtRows(rows=rows, teaching=self._teaching(parts, extra), heard_NT=heard_NT)

    def _teaching(self, parts: Mapping[str, TensorRows], extra: TensorRows | None) -> Teaching:
        hints = self.options.hint_weight > 0
        if self.learning is not None:
            return self.learning
        if hints or self.options.teacher_logits == "on_the_fly":
            return Asked(self.teachers, hints=hints)
        columns = []
        for teacher in self.teachers:
            known = [teacher.logits(part, given.ids_NF) for part, given in parts.items()]
            columns.append(torch.cat(known if extra is None else [*known, teacher.score(extra.ids_NF)]))
        return Known(torch.stack(columns, dim=1))


def _require_hint(model: CTRModel | None) -> None:
    try:
        if model is not None:
            model.hint_unit()
    except ValueError as error:
        raise ConfigError(f"hint_weight is above 0: {error}") from error
