"""Losses as pure functions of logits: no sigmoid inside a model.

Clicks may be NaN: a row without a label. Such rows are left out of what reads labels, and only of that.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss


def click_loss(logits_B: Tensor, clicks_B: Tensor) -> Tensor:
    """Mean binary cross-entropy of clicks, eq. 13 of KD-DAGFM, eq. 5 of ECKD (there a sum)."""
    return binary_cross_entropy_with_logits(logits_B, clicks_B)


def labelled_click_loss(logits_B: Tensor, clicks_B: Tensor) -> Tensor:
    """`click_loss` of the rows whose click is not NaN; 0 if there are none."""
    labelled_B = ~clicks_B.isnan()
    total = binary_cross_entropy_with_logits(
        logits_B, clicks_B.nan_to_num(), weight=labelled_B.to(logits_B.dtype), reduction="sum"
    )
    return total / labelled_B.sum().clamp(min=1)


def logit_gap(logits_B: Tensor, teacher_B: Tensor) -> Tensor:
    """mean((teacher logit - student logit)²), eq. 12 of KD-DAGFM."""
    return mse_loss(logits_B, teacher_B)


def soft_label_loss(logits_B: Tensor, teacher_B: Tensor, temperature: float) -> Tensor:
    """CE(σ(z_T / τ), σ(z_S / τ)), eq. 8 of ECKD, mean over the rows.

    As printed there: without the factor τ² of Hinton et al. (2015), which keeps the gradient's size as τ grows. It
    falls here with 1 / τ², so a weight tuned at one temperature is not that of another; multiply it by τ² to compare.
    The teacher's entropy is part of the value: it is not 0 where the student is perfect.
    """
    return binary_cross_entropy_with_logits(logits_B / temperature, (teacher_B / temperature).sigmoid())


def hint_loss(hint_BH: Tensor, mapped_BH: Tensor) -> Tensor:
    """‖W v_T - v_S‖², eq. 9 of ECKD, summed over the H numbers of a hint, mean over the rows.

    Args:
        hint_BH: v_S.
        mapped_BH: W v_T.
    """
    return (mapped_BH - hint_BH).square().sum(1).mean()
