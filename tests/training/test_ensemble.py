import math

import torch

from training.ensemble import Ensemble

LOGITS_BT = torch.tensor([[0.5, -1.0, 2.0], [0.0, 3.0, -0.5]])


def test_an_average_hears_every_teacher_alike() -> None:
    torch.testing.assert_close(Ensemble(3)(LOGITS_BT), torch.full((2, 3), 1 / 3))


def test_one_teacher_is_taken_as_it_is() -> None:
    assert torch.equal(Ensemble(1)(LOGITS_BT[:, :1]), torch.ones(2, 1))


def test_fixed_weights_are_divided_by_their_sum() -> None:
    alpha_BT = Ensemble(3, (1.0, 2.0, 5.0))(LOGITS_BT)
    torch.testing.assert_close(alpha_BT, torch.tensor([[0.125, 0.25, 0.625]] * 2))


def test_the_gate_is_equation_11_for_each_sample() -> None:
    gate = Ensemble(3, gated=True)
    slopes, biases = [0.3, -0.7, 0.2], [0.1, 0.0, -0.4]
    with torch.no_grad():
        gate.slope_T.copy_(torch.tensor(slopes))
        gate.bias_T.copy_(torch.tensor(biases))
    for row, alphas in zip(LOGITS_BT.tolist(), gate(LOGITS_BT).tolist(), strict=True):
        powers = [math.exp(w * z + b) for w, z, b in zip(slopes, row, biases, strict=True)]
        torch.testing.assert_close(torch.tensor(alphas), torch.tensor([power / sum(powers) for power in powers]))


def test_a_gate_starts_as_the_average_and_learns() -> None:
    gate = Ensemble(2, gated=True)
    alpha_BT = gate(LOGITS_BT[:, :2])
    torch.testing.assert_close(alpha_BT, torch.full((2, 2), 0.5))
    alpha_BT[:, 0].sum().backward()
    assert gate.slope_T.grad is not None
    assert gate.slope_T.grad.abs().min() > 0
    assert not any(parameter.requires_grad for parameter in Ensemble(2).parameters())


def test_teachers_that_are_not_heard_have_no_weight() -> None:
    heard_BT = torch.tensor([[True, False, True], [False, True, False]])
    torch.testing.assert_close(
        Ensemble(3, (1.0, 7.0, 3.0))(LOGITS_BT, heard_BT), torch.tensor([[0.25, 0, 0.75], [0, 1, 0]])
    )
