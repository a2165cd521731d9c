import numpy as np
import torch

from training.losses import click_loss, distillation_loss
from training.metrics import log_loss

LOGITS_B = torch.tensor([0.3, -1.2, 2.0])
TEACHER_B = torch.tensor([0.1, -1.0, 3.0])
CLICKS_B = torch.tensor([1.0, 0.0, 1.0])


def test_click_loss_agrees_with_the_offline_metric() -> None:
    expected = log_loss(LOGITS_B.numpy(), CLICKS_B.numpy())
    np.testing.assert_allclose(click_loss(LOGITS_B, CLICKS_B).item(), expected, rtol=1e-6)


def test_each_weight_multiplies_the_term_it_is_named_for() -> None:
    gap = ((LOGITS_B - TEACHER_B) ** 2).mean()
    only_gap = distillation_loss(LOGITS_B, TEACHER_B, CLICKS_B, click_weight=0.0, logit_weight=3.0)
    only_clicks = distillation_loss(LOGITS_B, TEACHER_B, CLICKS_B, click_weight=2.0, logit_weight=0.0)
    torch.testing.assert_close(only_gap, 3 * gap)
    torch.testing.assert_close(only_clicks, 2 * click_loss(LOGITS_B, CLICKS_B))
