"""Distil: the student learns the teacher's logits on the teacher's own embeddings, which stay frozen.

    L = logit_weight · mean((teacher logit - student logit)²) + click_weight · L_CTR      eq. 12-14 of KD-DAGFM

The teacher is frozen and in evaluation mode, so its logits are the same in every epoch: they are computed once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.checkpoint import Trained
from training.config import DistillOptions
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.loop import BatchLoss, predict
from training.losses import distillation_loss
from training.models.base import CTRModel
from training.models.registry import build
from training.run import Run, train_phase


def distill(run: Run, teacher: Trained) -> Trained:
    """The run's student, distilled from `teacher`."""
    config = run.config

    def start(prepared: Prepared, train: TensorRows) -> tuple[CTRModel, BatchLoss]:
        torch.manual_seed(config.run.seed)
        student = build(config.student.name, config.student.options.model_dump(), prepared.encoder.sizes)
        share_embeddings(student, teacher.model)
        return student, distillation_batch_loss(train, predict(teacher.model, train.ids_NF), config.distill)

    return train_phase(run, "distill", config.distill, start, {"teacher": teacher.digest})


@torch.no_grad()
def share_embeddings(student: CTRModel, teacher: CTRModel) -> None:
    """Give the student the teacher's embedding table, without gradient."""
    student.embedding.weight_VD.copy_(teacher.embedding.weight_VD)
    student.embedding.weight_VD.requires_grad_(False)


def distillation_batch_loss(train: TensorRows, teacher_logits_N: Tensor, options: DistillOptions) -> BatchLoss:
    """The distillation loss of a batch, given by its row numbers."""

    def loss(logits_B: Tensor, rows_B: Tensor) -> Tensor:
        return distillation_loss(
            logits_B,
            teacher_logits_N[rows_B],
            train.clicks_N[rows_B],
            click_weight=options.click_weight,
            logit_weight=options.logit_weight,
        )

    return loss
