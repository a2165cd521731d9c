"""What a phase trains for: the loss of a batch, and the metric that decides which epoch is kept.

The loop knows neither teachers nor clicks. A loss is given the model, because some read more than its logits, and may
train companions beside it: a gate over teachers, a map of hints, a teacher that learns along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from training.data.batches import TensorRows
from training.losses import click_loss
from training.metrics import auc, log_loss
from training.models.base import CTRModel

BatchLoss = Callable[[CTRModel, Tensor, Tensor], Tensor]
"""(model, ids_BF, row numbers_B) → loss."""

ModelMetrics = Callable[[CTRModel], dict[str, float]]
"""model → metrics by name, on rows that the objective holds."""

_EVALUATION_BATCH = 16_384


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a phase minimises in training and what decides which of its epochs is kept."""

    loss: BatchLoss
    metrics: ModelMetrics
    decides: str
    """Name of the deciding metric."""
    higher_is_better: bool = True
    companions: nn.Module = field(default_factory=nn.Module)
    """Trained with the model, kept in the state a killed phase resumes from, and no part of the finished model."""


@torch.inference_mode()
def predict(model: CTRModel, ids_NF: Tensor) -> Tensor:
    """Logits float32 [N] in evaluation mode."""
    model.eval()
    starts = range(0, len(ids_NF), _EVALUATION_BATCH)
    return torch.cat([model(ids_NF[start : start + _EVALUATION_BATCH]) for start in starts])


def click_metrics(logits_N: Tensor, rows: TensorRows) -> dict[str, float]:
    """`auc` and `log_loss` against the clicks of these rows."""
    logits, clicks = logits_N.numpy(), rows.clicks_N.numpy()
    return {"auc": auc(logits, clicks), "log_loss": log_loss(logits, clicks)}


def click_objective(train: TensorRows, validation: TensorRows) -> Objective:
    """The click loss (eq. 13 of KD-DAGFM, eq. 5 of ECKD); validation AUC decides."""

    def loss(model: CTRModel, ids_BF: Tensor, rows_B: Tensor) -> Tensor:
        return click_loss(model(ids_BF), train.clicks_N[rows_B])

    def metrics(model: CTRModel) -> dict[str, float]:
        return click_metrics(predict(model, validation.ids_NF), validation)

    return Objective(loss=loss, metrics=metrics, decides="auc")
