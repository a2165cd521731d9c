"""Teach: train the teacher on clicks."""

from __future__ import annotations

import torch
from torch import Tensor

from training.checkpoint import Trained
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.loop import Objective, click_metrics
from training.losses import click_loss
from training.models.base import CTRModel
from training.models.registry import build
from training.run import Run, train_phase


def teach(run: Run) -> Trained:
    """The run's teacher, trained on clicks alone (eq. 13 of KD-DAGFM)."""
    config = run.config

    def start(prepared: Prepared, train: TensorRows, validation: TensorRows) -> tuple[CTRModel, Objective]:
        torch.manual_seed(config.run.seed)
        teacher = build(config.teacher.name, config.teacher.options.model_dump(), prepared.encoder.sizes)
        return teacher, click_objective(train, validation)

    return train_phase(run, "teach", config.teach, start, {})


def click_objective(train: TensorRows, validation: TensorRows) -> Objective:
    """The click loss; validation AUC decides."""

    def loss(logits_B: Tensor, rows_B: Tensor) -> Tensor:
        return click_loss(logits_B, train.clicks_N[rows_B])

    return Objective(loss=loss, metrics=click_metrics(validation), decides="auc")
