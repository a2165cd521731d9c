"""The inner products of all pairs i < j of N vectors of a row, [B, P] from [B, N, D].

    p_ij = ⟨x_i, x_j⟩                                    pairs in the order of layers/pairs.py

One matrix product makes all N², the diagonal and every pair twice: on a CPU that beats anything that makes the P alone.
The gradient G of the upper triangle goes back as G x + Gᵀ x; autograd would add its P columns up one by one.
Cost: P·D multiplications needed, N²·D executed. Source: the inner product layer of IPNN (Qu et al., ICDM 2016).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.layers.pairs import field_pairs


def inner_products(vectors_BND: Tensor) -> Tensor:
    """Inner products [B, P]."""
    first_P, second_P = field_pairs(vectors_BND.shape[1])
    places_P = first_P * vectors_BND.shape[1] + second_P
    if torch.compiler.is_exporting():
        return _upper(vectors_BND, places_P)
    products_BP: Tensor = _InnerProducts.apply(vectors_BND, places_P)  # type: ignore[no-untyped-call]
    return products_BP


def _upper(vectors_BND: Tensor, places_P: Tensor) -> Tensor:
    all_BNN = vectors_BND @ vectors_BND.transpose(1, 2)
    return all_BNN.flatten(1).index_select(1, places_P)


class _InnerProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors_BND: Tensor, places_P: Tensor) -> Tensor:
        ctx.save_for_backward(vectors_BND, places_P)
        return _upper(vectors_BND, places_P)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad_BP,) = grads
        vectors_BND, places_P = ctx.saved_tensors
        rows, vectors, _ = vectors_BND.shape
        zeros_BX = grad_BP.new_zeros(rows, vectors**2)
        grad_BNN = zeros_BX.index_copy_(1, places_P, grad_BP).view(rows, vectors, vectors)
        as_grad_BND = vectors_BND.to(grad_BP.dtype)  # bfloat16 where the forward pass multiplied in it
        sides_BND = grad_BNN @ as_grad_BND + grad_BNN.transpose(1, 2) @ as_grad_BND
        return sides_BND.to(vectors_BND.dtype), None
