"""Distil: the student learns the teacher's logits on the teacher's own embeddings, which stay frozen.

    L = logit_weight · mean((teacher logit - student logit)²) + click_weight · L_CTR      eq. 12-14 of KD-DAGFM

The teacher is frozen and in evaluation mode, so its logits are the same in every epoch: they are computed once.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from training.checkpoint import Trained
from training.config import DistillOptions
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.losses import distillation_loss
from training.models.base import CTRModel
from training.models.registry import build
from training.objective import Objective, click_metrics, predict
from training.phase import Lesson
from training.run import Run, rows_of, train_phase


def distill(run: Run, teacher: Trained) -> Trained:
    """The run's student, distilled from `teacher`."""
    config = run.config

    def begin(prepared: Prepared) -> Lesson:
        torch.manual_seed(config.run.seed)
        student = build(config.student.name, config.student.options.model_dump(), prepared.encoder.sizes)
        share_embeddings(student, teacher.model)
        train, validation = rows_of(prepared)
        objective = distillation_objective(teacher.model, train, validation, config.distill)
        return Lesson(model=student, train=train, objective=objective)

    return train_phase(run, "distill", config.distill, begin, {"teacher": teacher.digest})


@torch.no_grad()
def share_embeddings(student: CTRModel, teacher: CTRModel) -> None:
    """Give the student the teacher's embedding table, without gradient."""
    student.embedding.weight_VD.copy_(teacher.embedding.weight_VD)
    student.embedding.weight_VD.requires_grad_(False)


def distillation_objective(
    teacher: CTRModel, train: TensorRows, validation: TensorRows, options: DistillOptions
) -> Objective:
    """The distillation loss; validation AUC or the validation logit gap decides, as the options say.

    The gap is the mean squared difference of teacher and student logits, eq. 12 on the validation rows.
    """
    train_logits_N, validation_logits_N = predict(teacher, train.ids_NF), predict(teacher, validation.ids_NF)
    weights = {"click_weight": options.click_weight, "logit_weight": options.logit_weight}

    def loss(student: CTRModel, ids_BF: Tensor, rows_B: Tensor) -> Tensor:
        return distillation_loss(student(ids_BF), train_logits_N[rows_B], train.clicks_N[rows_B], **weights)

    def metrics(student: CTRModel) -> dict[str, float]:
        logits_N = predict(student, validation.ids_NF)
        gap = float(mse_loss(logits_N, validation_logits_N))
        return {**click_metrics(logits_N, validation), "logit_gap": gap}

    return Objective(loss=loss, metrics=metrics, decides=options.select, higher_is_better=options.select == "auc")
