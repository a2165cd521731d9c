"""Distil: the student learns what its teachers say of every row.

    L = logit_weight · mean((teacher logit - student logit)²) + click_weight · L_CTR      eq. 12-14 of KD-DAGFM

and the losses of ECKD beside it: see `DistillOptions` for all of them. Finished teachers are frozen and in evaluation
mode, so their logits are the same in every epoch: they are computed once and kept in teacher_logits/.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from training.checkpoint import Trained
from training.data.prepare import Prepared, open_prepared
from training.faculty import finished, fresh, untrained_digest
from training.lessons import distillation_lesson
from training.models.registry import build
from training.phase import Lesson
from training.run import Run, rows_of, train_phase
from training.teachers.base import ModelTeacher, Teacher
from training.teachers.cache import CachedTeacher


def distill(run: Run, taught: Mapping[str, Trained]) -> Trained:
    """The run's student, distilled from the teachers that `teach` gave and those from elsewhere."""
    config = run.config
    teachers = _teachers(run, taught)

    def begin(prepared: Prepared) -> Lesson:
        torch.manual_seed(config.run.seed)
        student = build(config.student.name, config.student.options.model_dump(), prepared.encoder.sizes)
        return distillation_lesson(
            student,
            teachers,
            *rows_of(prepared),
            config.distill,
            seed=config.run.seed,
            context_fields=len(prepared.encoder.schema.context),
        )

    lineage = {f"teacher-{each.name}" if config.ensemble else "teacher": each.digest for each in teachers}
    return train_phase(run, "distill", config.distill, begin, lineage)


def _teachers(run: Run, taught: Mapping[str, Trained]) -> list[Teacher]:
    prepared = open_prepared(run.directory / "data")
    described = run.config.teachers
    if run.config.distill.scheme == "co_train":
        return [ModelTeacher(each.name, fresh(each, prepared), untrained_digest(each)) for each in described]
    kept = run.directory / "teacher_logits"
    return [CachedTeacher(finished(each, prepared, taught), kept, prepared.digest) for each in described]
