"""Losses as pure functions of logits: no sigmoid inside a model."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss


def click_loss(logits_B: Tensor, clicks_B: Tensor) -> Tensor:
    """Mean binary cross-entropy of clicks, eq. 13 of KD-DAGFM."""
    return binary_cross_entropy_with_logits(logits_B, clicks_B)


def distillation_loss(
    logits_B: Tensor, teacher_logits_B: Tensor, clicks_B: Tensor, *, click_weight: float, logit_weight: float
) -> Tensor:
    """click_weight · L_CTR + logit_weight · mean((teacher logit - student logit)²), eq. 12 and 14 of KD-DAGFM.

    The weights are named for what they multiply, because sources disagree on which of them is alpha.
    """
    gap = mse_loss(logits_B, teacher_logits_B)
    return click_weight * click_loss(logits_B, clicks_B) + logit_weight * gap
