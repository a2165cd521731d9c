from itertools import combinations

import torch

from training.layers.inner_products import inner_products


def test_products_are_those_of_every_pair_in_order() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(3, 5, 2, dtype=torch.float64)
    expected = [[float(row[i] @ row[j]) for i, j in combinations(range(5), 2)] for row in vectors]
    torch.testing.assert_close(inner_products(vectors), torch.tensor(expected, dtype=torch.float64))


def test_gradients_under_autocast_are_near_those_without() -> None:
    """The products come as bfloat16, the vectors stay float32."""
    torch.manual_seed(0)
    vectors = torch.randn(2, 4, 3, requires_grad=True)
    (expected,) = torch.autograd.grad(inner_products(vectors).sum(), vectors)
    with torch.autocast("cpu", torch.bfloat16):
        products = inner_products(vectors)
    (found,) = torch.autograd.grad(products.sum(), vectors)
    assert (products.dtype, found.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


def test_gradients_are_those_of_the_products() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(inner_products, (vectors,))
