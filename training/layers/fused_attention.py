"""The attention of layers/attention.py as one compiled operator, where that was built and the numbers are the CPU's.

torch makes eight operators of it and a copy between most of them: a row has few fields, so there is little arithmetic
in each, and α [B, H, F, F] is written and read back five times in a step. Compiled, a row and head stay in the cache
from query to gradient, and α is made again on the way back instead of being kept. In float32 both differ by rounding;
in bfloat16 the compiled one rounds less: what comes in and what goes out, not what is between.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.layers.compiled import array_of, is_taken

try:
    from training.native import _attention

    COMPILED = True
except ImportError:
    COMPILED = False

PARTS = 4
"""Query, key, value, residual, in this order."""


def is_fusible(projected_BFX: Tensor) -> bool:
    """Whether `fused` takes it."""
    return COMPILED and is_taken(projected_BFX)


def fused(projected_BFX: Tensor, heads: int, size: int) -> Tensor:
    """ReLU(softmax(Q Kᵀ) V + R) of every row and head.

    Args:
        projected_BFX: query, key, value and residual, each [B, F, H, A], side by side: X = 4·H·A.
        heads: H.
        size: A.

    Returns:
        [B, F, H·A], in the same precision. Differentiable once.
    """
    attended_BFY: Tensor = _Attention.apply(projected_BFX, heads, size)  # type: ignore[no-untyped-call]
    return attended_BFY


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected_BFX: Tensor, heads: int, size: int) -> Tensor:
        projected_BFX = projected_BFX.contiguous()
        out_BFY = projected_BFX.new_empty((*projected_BFX.shape[:2], heads * size))
        _attention.forward(array_of(projected_BFX), array_of(out_BFY), *_sizes(projected_BFX, heads, size))
        ctx.save_for_backward(projected_BFX, out_BFY)
        ctx.heads, ctx.size = heads, size
        return out_BFY

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BFY: Tensor) -> tuple[Tensor, None, None]:
        projected_BFX, out_BFY = ctx.saved_tensors
        grad_BFX = torch.empty_like(projected_BFX)
        _attention.backward(
            array_of(projected_BFX),
            array_of(out_BFY),
            array_of(grad_BFY.contiguous()),
            array_of(grad_BFX),
            *_sizes(projected_BFX, ctx.heads, ctx.size),
        )
        return grad_BFX, None, None


def _sizes(projected_BFX: Tensor, heads: int, size: int) -> tuple[int, int, int, bool, int]:
    halved = projected_BFX.dtype == torch.bfloat16
    return projected_BFX.shape[1], heads, size, halved, torch.get_num_threads()
