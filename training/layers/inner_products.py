"""The inner products of all pairs i < j of N vectors of a row, [B, P] from [B, N, D].

    p_ij = ⟨x_i, x_j⟩                                    pairs in the order of layers/pairs.py

One matrix product makes all N², the diagonal and every pair twice: on a CPU that beats anything that makes the P alone.
Taking the upper triangle out is a copy of N - 1 slices; its gradient G goes back as (G + Gᵀ) x, one matrix product too,
where gathering would add P columns up one by one. A graph that is exported gathers.
Cost: P·D multiplications needed, N²·D executed. Source: the inner product layer of IPNN (Qu et al., ICDM 2016).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.layers.pair_products import blocks
from training.layers.pairs import field_pairs


def inner_products(vectors_BND: Tensor) -> Tensor:
    """Inner products [B, P]."""
    if torch.compiler.is_exporting():
        first_P, second_P = field_pairs(vectors_BND.shape[1])
        all_BNN = vectors_BND @ vectors_BND.transpose(1, 2)
        return all_BNN.flatten(1).index_select(1, first_P * vectors_BND.shape[1] + second_P)
    products_BP: Tensor = _InnerProducts.apply(vectors_BND)  # type: ignore[no-untyped-call]
    return products_BP


class _InnerProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors_BND: Tensor) -> Tensor:
        ctx.save_for_backward(vectors_BND)
        rows, vectors, _ = vectors_BND.shape
        all_BNN = vectors_BND @ vectors_BND.transpose(1, 2)
        products_BP = vectors_BND.new_empty(rows, vectors * (vectors - 1) // 2)
        for first, start, count in blocks(vectors):
            products_BP.narrow(1, start, count).copy_(all_BNN[:, first, first + 1 :])
        return products_BP

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad_BP,) = grads
        (vectors_BND,) = ctx.saved_tensors
        rows, vectors, _ = vectors_BND.shape
        grad_BNN = grad_BP.new_zeros(rows, vectors, vectors)
        for first, start, count in blocks(vectors):
            block_BJ = grad_BP.narrow(1, start, count)
            grad_BNN[:, first, first + 1 :].copy_(block_BJ)
            grad_BNN[:, first + 1 :, first].copy_(block_BJ)
        vectors_grad_BND: Tensor = grad_BNN @ vectors_BND
        return vectors_grad_BND
