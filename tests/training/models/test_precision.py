"""Training in bfloat16: what must stay float32, and how far gradients may be off, for every registered model."""

import pytest
import torch
from torch import Tensor

from training.models.base import CTRModel
from training.models.registry import build, example_options, names

SIZES = [5, 4, 3, 6]


def model_and_ids(name: str) -> tuple[CTRModel, Tensor]:
    torch.manual_seed(0)
    model = build(name, example_options(name), SIZES)
    return model, torch.stack([torch.randint(0, size, (256,)) for size in SIZES], dim=1).int()


def logits_and_gradients(name: str, *, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """Logits [B] of some rows and the gradient of a loss of them, all parameters in one vector."""
    model, ids_BF = model_and_ids(name)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits_B = model(ids_BF)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits_B, (ids_BF.sum(1) % 2).float())
    loss.backward()
    assert loss.dtype == torch.float32
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(gradient.dtype == torch.float32 for gradient in gradients)
    return logits_B.detach(), torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.parametrize("name", names())
def test_a_logit_has_float32_digits_when_matrix_products_are_bfloat16(name: str) -> None:
    logits_B, _ = logits_and_gradients(name, bfloat16=True)
    assert logits_B.dtype == torch.float32
    distinct = logits_B.unique()  # rows of which every unit is dead share one logit, which may happen to be coarse
    coarse = distinct.bfloat16().float() == distinct
    assert coarse.float().mean() < 0.05, "logits are rounded to bfloat16 somewhere"


@pytest.mark.parametrize("name", names())
def test_gradients_in_bfloat16_point_where_those_of_float32_do(name: str) -> None:
    """To 2^-8 or so, but for units of ReLU and neighbours of GraphFM that are next to their threshold: one that
    switches takes its row, or a tenth of so small a model, along.
    """
    (logits_B, exact), (rounded_B, rounded) = (logits_and_gradients(name, bfloat16=each) for each in (False, True))
    assert (logits_B - rounded_B).abs().quantile(0.9) < 0.1 * logits_B.std()
    assert (exact - rounded).norm() < 0.15 * exact.norm()
