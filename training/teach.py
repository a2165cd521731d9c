"""Teach: train the teacher on clicks."""

from __future__ import annotations

import torch

from training.checkpoint import Trained
from training.data.prepare import Prepared
from training.lessons import click_lesson
from training.models.registry import build
from training.phase import Lesson
from training.run import Run, rows_of, train_phase


def teach(run: Run) -> Trained:
    """The run's teacher, trained on clicks alone (eq. 13 of KD-DAGFM)."""
    config = run.config

    def begin(prepared: Prepared) -> Lesson:
        torch.manual_seed(config.run.seed)
        teacher = build(config.teacher.name, config.teacher.options.model_dump(), prepared.encoder.sizes)
        return click_lesson(teacher, *rows_of(prepared))

    return train_phase(run, "teach", config.teach, begin, {})
