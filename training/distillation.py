"""The objective of distilling: what the student's loss is, what is trained beside it, what is measured.

    L_S = γ L_CE(y, z_S) + L_KD(z_S, Σ_i α_i z_Ti)        eq. 7 and 10 of ECKD, eq. 14 of KD-DAGFM

L_KD is the squared logit gap, soft labels, hint regression, or a sum of them (losses.py). Gradients run one way: what
teachers say is detached, so the student never changes a teacher, not even one that learns along.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.data.batches import TensorRows
from training.ensemble import Ensemble
from training.hints import HintMaps, with_hint
from training.losses import click_loss, hint_loss, labelled_click_loss, logit_gap, soft_label_loss
from training.models.base import CTRModel
from training.objective import Objective, click_metrics
from training.options import DistillOptions
from training.teaching import Learning, Taught, Teaching

_EVALUATION_BATCH = 16_384


@dataclass(frozen=True, kw_only=True)
class TaughtRows:
    """Rows, what teachers say of them, and who is heard on which.

    Attributes:
        rows: clicks are NaN where a row has no label.
        teaching: answers for batches of these rows.
        heard_NT: bool [N, T], which teachers count on which row; None: all on all.
    """

    rows: TensorRows
    teaching: Teaching
    heard_NT: Tensor | None = None

    def heard(self, rows_B: Tensor) -> Tensor | None:
        """`heard_NT` of these rows."""
        return None if self.heard_NT is None else self.heard_NT[rows_B]


class Distillation(nn.Module):
    """L_KD and what it trains beside the student: gate, hint maps, teachers that learn along.

    Args:
        options: weights of the terms, and how teachers are combined.
        student: gives the length of the student's hint.
        teachers: the models of the teachers, None for those that are no models of ours.
        learning: the teachers, if they learn along.
    """

    def __init__(
        self,
        options: DistillOptions,
        student: CTRModel,
        teachers: Sequence[CTRModel | None],
        learning: Learning | None = None,
    ) -> None:
        super().__init__()
        self.options = options
        self.ensemble = Ensemble(len(teachers), options.teacher_weights or None, gated=options.combine == "gate")
        self.hint_maps = _hint_maps(student, teachers) if options.hint_weight else None
        self.learning = learning

    def pupil(self, student: CTRModel, ids_BF: Tensor) -> tuple[Tensor, Tensor | None]:
        """The student's logits [B] and, where hints are compared, its hint [B, H], from one pass."""
        if self.hint_maps is None:
            return student(ids_BF).float(), None
        logits_B, hint_BH = with_hint(student, ids_BF)
        return logits_B.float(), hint_BH.float()

    def forward(self, logits_B: Tensor, hint_BH: Tensor | None, taught: Taught, alpha_BT: Tensor) -> Tensor:
        """L_KD of a batch; `alpha_BT` are the weights of the teachers."""
        options, teacher_B = self.options, combined(taught, alpha_BT)
        loss = torch.zeros(())
        if options.logit_weight:
            loss = loss + options.logit_weight * logit_gap(logits_B, teacher_B)
        if options.soft_label_weight:
            loss = loss + options.soft_label_weight * soft_label_loss(logits_B, teacher_B, options.temperature)
        if self.hint_maps is not None and hint_BH is not None:
            loss = loss + options.hint_weight * hint_loss(hint_BH, self.hint_maps(taught.hints, alpha_BT))
        return loss


def combined(taught: Taught, alpha_BT: Tensor) -> Tensor:
    """Σ_i α_i z_Ti [B], eq. 10."""
    return (alpha_BT * taught.logits_BT).sum(1)


def distillation_objective(
    distillation: Distillation, train: TaughtRows, validation: TaughtRows, names: Sequence[str]
) -> Objective:
    """The distillation loss; the metric that the options select decides, on the validation rows.

    Metrics are `auc`, `log_loss`, `logit_gap` (the mean squared gap to the combined teachers), `distillation_loss`
    (L_KD), and with a gate `alpha_NAME`, the mean weight of each teacher.
    """
    options = distillation.options
    unlabelled = bool(train.rows.clicks_N.isnan().any())
    clicks_of = labelled_click_loss if unlabelled else click_loss
    learning = distillation.learning

    def loss(student: CTRModel, ids_BF: Tensor, rows_B: Tensor) -> Tensor:
        clicks_B = train.rows.clicks_N[rows_B]
        said = train.teaching(ids_BF, rows_B)
        taught = said.detached()
        with nullcontext() if learning is None else learning.aside():
            logits_B, hint_BH = distillation.pupil(student, ids_BF)
        alpha_BT = distillation.ensemble(taught.logits_BT, train.heard(rows_B))
        total: Tensor = distillation(logits_B, hint_BH, taught, alpha_BT)
        if options.click_weight:
            total = total + options.click_weight * clicks_of(logits_B, clicks_B)
        if options.gate_click_weight:
            total = total + options.gate_click_weight * clicks_of(combined(taught, alpha_BT), clicks_B)
        if learning is not None:
            total = total + sum(clicks_of(logits, clicks_B) for logits in said.logits_BT.unbind(1))
        return total

    def metrics(student: CTRModel) -> dict[str, float]:
        return _measure(distillation, student, validation, names)

    decides = options.select
    return Objective(
        loss=loss, metrics=metrics, decides=decides, higher_is_better=decides == "auc", companions=distillation
    )


@torch.inference_mode()
def _measure(distillation: Distillation, student: CTRModel, on: TaughtRows, names: Sequence[str]) -> dict[str, float]:
    """Metrics of the student on rows, everything in evaluation mode."""
    student.eval()
    distillation.eval()
    rows = torch.arange(len(on.rows))
    logits, alphas, sums = [], [], torch.zeros(2, dtype=torch.float64)
    for rows_B in rows.split(_EVALUATION_BATCH):  # type: ignore[no-untyped-call]
        ids_BF = on.rows.ids_NF[rows_B]
        taught = on.teaching(ids_BF, rows_B)
        logits_B, hint_BH = distillation.pupil(student, ids_BF)
        alpha_BT = distillation.ensemble(taught.logits_BT, on.heard(rows_B))
        gap = logit_gap(logits_B, combined(taught, alpha_BT))
        sums += len(rows_B) * torch.stack((gap, distillation(logits_B, hint_BH, taught, alpha_BT)))
        logits.append(logits_B)
        alphas.append(alpha_BT)
    gap_, loss_ = (sums / len(rows)).tolist()
    scores = {**click_metrics(torch.cat(logits), on.rows), "logit_gap": gap_, "distillation_loss": loss_}
    if distillation.ensemble.gated:
        shares = torch.cat(alphas).mean(0).tolist()
        scores |= {f"alpha_{name}": share for name, share in zip(names, shares, strict=True)}
    return scores


def _hint_maps(student: CTRModel, teachers: Sequence[CTRModel | None]) -> HintMaps:
    widths = [model.hint_unit().in_features for model in teachers if model is not None]
    return HintMaps(student.hint_unit().in_features, widths)
