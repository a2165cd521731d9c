import numpy as np
import torch

from training.losses import click_loss, hint_loss, labelled_click_loss, logit_gap, soft_label_loss
from training.metrics import log_loss

LOGITS_B = torch.tensor([0.3, -1.2, 2.0])
TEACHER_B = torch.tensor([0.1, -1.0, 3.0])
CLICKS_B = torch.tensor([1.0, 0.0, 1.0])


def sigmoid(value: float) -> float:
    return 1 / (1 + np.exp(-value))


def test_click_loss_agrees_with_the_offline_metric() -> None:
    expected = log_loss(LOGITS_B.numpy(), CLICKS_B.numpy())
    np.testing.assert_allclose(click_loss(LOGITS_B, CLICKS_B).item(), expected, rtol=1e-6)


def test_rows_without_a_click_are_left_out_of_the_click_loss() -> None:
    logits_B = torch.tensor([0.3, 5.0, -1.2, 2.0], requires_grad=True)
    loss = labelled_click_loss(logits_B, torch.tensor([1.0, torch.nan, 0.0, 1.0]))
    torch.testing.assert_close(loss, click_loss(LOGITS_B, CLICKS_B))
    assert torch.autograd.grad(loss, logits_B)[0][1] == 0


def test_a_batch_without_any_click_has_no_click_loss() -> None:
    assert labelled_click_loss(LOGITS_B, torch.full((3,), torch.nan)) == 0


def test_the_logit_gap_is_the_mean_of_squares() -> None:
    np.testing.assert_allclose(logit_gap(LOGITS_B, TEACHER_B).item(), (0.2**2 + 0.2**2 + 1.0**2) / 3, rtol=1e-6)


def test_soft_labels_are_equation_8_row_by_row() -> None:
    rows = []
    for student, teacher in zip(LOGITS_B.tolist(), TEACHER_B.tolist(), strict=True):
        soft, guess = sigmoid(teacher / 4), sigmoid(student / 4)
        rows.append(-(soft * np.log(guess) + (1 - soft) * np.log(1 - guess)))
    np.testing.assert_allclose(soft_label_loss(LOGITS_B, TEACHER_B, 4.0).item(), np.mean(rows), rtol=1e-6)


def test_the_gradient_of_soft_labels_falls_with_the_squared_temperature() -> None:
    """No factor τ² stands in eq. 8, so none is applied."""
    logits_B = LOGITS_B.clone().requires_grad_()
    cold, hot = (torch.autograd.grad(soft_label_loss(logits_B, TEACHER_B, t), logits_B)[0] for t in (100.0, 200.0))
    torch.testing.assert_close(cold / hot, torch.full((3,), 4.0), rtol=1e-2, atol=0)


def test_hints_are_equation_9_row_by_row() -> None:
    hint_BH, mapped_BH = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[1.5, 0.0], [0.0, 3.0]])
    np.testing.assert_allclose(hint_loss(hint_BH, mapped_BH).item(), ((0.5**2 + 2**2) + 2**2) / 2)
