import pytest
import torch

from training.layers.pair_products import pair_products
from training.layers.pairs import field_pairs


def gathered(left_FD: torch.Tensor, right_FD: torch.Tensor) -> torch.Tensor:
    first_P, second_P = field_pairs(right_FD.shape[-2])
    return left_FD[..., first_P, :] * right_FD[..., second_P, :]


@pytest.mark.parametrize("left_fields", [3, 4])
def test_products_and_gradients_are_those_of_gathering_both_sides(left_fields: int) -> None:
    """With and without the last field on the left, where nothing reads it."""
    torch.manual_seed(0)
    left = torch.randn(5, 2, left_fields, 3, requires_grad=True)
    right = torch.randn(5, 2, 4, 3, requires_grad=True)
    weights = torch.randn(5, 2, 6, 3)
    found, expected = pair_products(left, right), gathered(left, right)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    for grad, expected_grad in zip(
        torch.autograd.grad((found * weights).sum(), (left, right)),
        torch.autograd.grad((expected * weights).sum(), (left, right)),
        strict=True,
    ):
        torch.testing.assert_close(grad, expected_grad)


def test_gradients_of_a_field_with_itself_add_up() -> None:
    """Left and right are the same tensor, and strided."""
    torch.manual_seed(0)
    fields = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pair_products(x.transpose(0, 1), x.transpose(0, 1)), (fields,))
