"""The attention of layers/attention.py as one compiled operator, where that was built and the numbers are the CPU's.

torch makes eight operators of it and a copy between most of them: a row has few fields, so there is little arithmetic
in each, and α [B, H, F, F] is written and read back five times in a step. Compiled, a row and head stay in the cache
from query to gradient, and α is made again on the way back instead of being kept. In float32 both differ by rounding;
in bfloat16 the compiled one rounds less: what comes in and what goes out, not what is between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

try:
    from training.native import _attention

    COMPILED = True
except ImportError:
    COMPILED = False

PARTS = 4
"""Query, key, value, residual, in this order."""


def is_fusible(projected_BFX: Tensor) -> bool:
    """Whether `fused` takes it; not while it is traced, where an exporter must see torch's own operators."""
    known = projected_BFX.dtype in (torch.float32, torch.bfloat16) and projected_BFX.device.type == "cpu"
    return COMPILED and known and not torch.compiler.is_compiling()


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
        _attention.forward(_array(projected_BFX), _array(out_BFY), *_sizes(projected_BFX, heads, size))
        ctx.save_for_backward(projected_BFX, out_BFY)
        ctx.heads, ctx.size = heads, size
        return out_BFY

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BFY: Tensor) -> tuple[Tensor, None, None]:
        projected_BFX, out_BFY = ctx.saved_tensors
        grad_BFX = torch.empty_like(projected_BFX)
        _attention.backward(
            _array(projected_BFX),
            _array(out_BFY),
            _array(grad_BFY.contiguous()),
            _array(grad_BFX),
            *_sizes(projected_BFX, ctx.heads, ctx.size),
        )
        return grad_BFX, None, None


def _array(numbers: Tensor) -> npt.NDArray[np.float32] | npt.NDArray[np.int16]:
    """The same memory as numpy's, which has no bfloat16."""
    found: npt.NDArray[np.float32] | npt.NDArray[np.int16]
    found = (numbers.view(torch.int16) if numbers.dtype == torch.bfloat16 else numbers).detach().numpy()
    return found


def _sizes(projected_BFX: Tensor, heads: int, size: int) -> tuple[int, int, int, bool, int]:
    halved = projected_BFX.dtype == torch.bfloat16
    return projected_BFX.shape[1], heads, size, halved, torch.get_num_threads()
