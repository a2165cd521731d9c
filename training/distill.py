"""Distil: the student learns what its teachers say of every row.

    L = logit_weight · mean((teacher logit - student logit)²) + click_weight · L_CTR      eq. 12-14 of KD-DAGFM

and the losses of ECKD beside it: see `DistillOptions` for all of them. Teachers are frozen and in evaluation mode, so
their logits are the same in every epoch: they are computed once and kept on disk.
"""

from __future__ import annotations

import torch

from training.checkpoint import Trained
from training.data.prepare import Prepared
from training.lessons import distillation_lesson
from training.models.registry import build
from training.phase import Lesson
from training.run import Run, rows_of, train_phase
from training.teachers.base import ModelTeacher
from training.teachers.cache import CachedTeacher


def distill(run: Run, teacher: Trained) -> Trained:
    """The run's student, distilled from `teacher`."""
    config = run.config

    def begin(prepared: Prepared) -> Lesson:
        torch.manual_seed(config.run.seed)
        student = build(config.student.name, config.student.options.model_dump(), prepared.encoder.sizes)
        kept = CachedTeacher(ModelTeacher.of("teacher", teacher), run.directory / "teacher_logits", prepared.digest)
        return distillation_lesson(
            student,
            [kept],
            *rows_of(prepared),
            config.distill,
            seed=config.run.seed,
            context_fields=len(prepared.encoder.schema.context),
        )

    return train_phase(run, "distill", config.distill, begin, {"teacher": teacher.digest})
