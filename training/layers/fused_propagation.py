"""Sums of a student's states, one compiled operator around the matrix products, where that was built.

    h^1 = C e,   h^{t+1} = h^1 ⊙ (h^t K_t),   S_t = Σ_d h^t          layers/propagation.py has the kernels K

Beside its matrix products torch runs 27 operators over whole states in a training step of three layers: products with
h^1 and their gradients, sums over d and their gradients spread over d again, additions of gradients, copies.
Compiled, a layer is one pass forward and one back (training/native/propagation_core.h); S and the gradient of h^1 are
float32 whatever the states are. DECISIONS, "one pass", has what that gains.

States are laid out as the matrix product of a layer wants them:

    rows     [B, F, D]   one matrix [F·D, F·D]             kernels that are matrices
    planes   [D, B, F]   a matrix [F, F] per dimension     inner kernels
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.layers.compiled import Array, array_of, is_taken
from training.layers.propagation import InnerPropagation, MatrixPropagation, Propagation, WeightedPropagation

try:
    from training.native import _propagation

    COMPILED = True
except ImportError:
    COMPILED = False

_NARROW = 256
"""F·D up to which C as a matrix [F·D, F·D], D times the arithmetic, is faster than mixing the fields of each row."""


def is_fusible(embedded_BFD: Tensor, layers: Iterable[Propagation]) -> bool:
    """Whether `fused_sums` takes them."""
    return COMPILED and is_taken(embedded_BFD) and all(isinstance(layer, WeightedPropagation) for layer in layers)


def fused_sums(embedded_BFD: Tensor, connection_FF: Tensor, layers: Sequence[Propagation]) -> Tensor:
    """S_1 … S_{l+1}, float32 [B, l + 1, F]. Differentiable once.

    Args:
        embedded_BFD: e.
        connection_FF: C.
        layers: all inner, or all with matrices.
    """
    kernels: list[Tensor]
    if isinstance(layers[0], InnerPropagation):
        base = embedded_BFD.permute(2, 0, 1) @ connection_FF.T
        kernels = [layer.kernel() for layer in layers if isinstance(layer, InnerPropagation)]
    else:
        base = _mixed(embedded_BFD, connection_FF).flatten(1)
        kernels = [layer.dense(layer.kernel()) for layer in layers if isinstance(layer, MatrixPropagation)]
    kernels = [kernel.to(base.dtype) for kernel in kernels]
    sums_TBF: Tensor = _States.apply(base, len(connection_FF), *kernels)  # type: ignore[no-untyped-call]
    return sums_TBF.transpose(0, 1)


def _mixed(embedded_BFD: Tensor, connection_FF: Tensor) -> Tensor:
    """C e, [B, F, D]; for narrow rows e (Cᵀ ⊗ I), as a small product per row and its gradient of C are slow."""
    fields, dimension = embedded_BFD.shape[1:]
    if fields * dimension > _NARROW:
        return connection_FF @ embedded_BFD
    mixing_FDSD = connection_FF.T[:, None, :, None] * torch.eye(dimension)[None, :, None, :]
    return (embedded_BFD.flatten(1) @ mixing_FDSD.flatten(2).flatten(0, 1)).view_as(embedded_BFD)


class _States(torch.autograd.Function):
    """h^1 as rows [B, F·D] or planes [D, B, F], F, and kernels → S [l + 1, B, F]."""

    @staticmethod
    def forward(ctx: Any, base: Tensor, fields: int, *kernels: Tensor) -> Tensor:
        base = base.contiguous()
        sums_TBF = torch.empty(len(kernels) + 1, base.shape[-2], fields)
        _forward(base, None, None, sums_TBF[0])
        states, messages = [base], []
        for kernel, sums_BF in zip(kernels, sums_TBF[1:], strict=True):
            messages.append(states[-1] @ kernel)
            states.append(torch.empty_like(base))
            _forward(base, messages[-1], states[-1], sums_BF)
        ctx.save_for_backward(*states[:-1], *messages, *kernels)  # the last state is only summed
        return sums_TBF

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TBF: Tensor) -> tuple[Tensor | None, ...]:
        layers = len(ctx.saved_tensors) // 3
        states, messages, kernels = (ctx.saved_tensors[at : at + layers] for at in range(0, 3 * layers, layers))
        base, grad_TBF = states[0], grad_TBF.contiguous()
        grad, grad_base = torch.empty_like(base), torch.empty(base.shape)
        grad_kernels: list[Tensor] = []
        grad_state: Tensor | None = None
        for layer in reversed(range(layers)):
            _backward((base, messages[layer]), grad_state, grad_TBF[layer + 1], grad_base, grad)
            grad_kernels.append(states[layer].mT @ grad)
            grad_state = grad @ kernels[layer].mT
        _backward((None, None), grad_state, grad_TBF[0], grad_base, grad)
        return grad, None, *reversed(grad_kernels)


def _forward(base: Tensor, messages: Tensor | None, state: Tensor | None, sums_BF: Tensor) -> None:
    """Fill a state, the product of h^1 and messages, and its sums; without messages, the sums of h^1."""
    base_, messages_, state_ = (_of_nodes(each, sums_BF.shape[1]) for each in (base, messages, state))
    _propagation.forward(base_, messages_, state_, _flat(sums_BF), torch.get_num_threads())


def _backward(
    factors: tuple[Tensor, Tensor] | tuple[None, None],
    grad_state: Tensor | None,
    grad_sums_BF: Tensor,
    grad_base: Tensor,
    grad: Tensor,
) -> None:
    """Fill the gradient of the messages and add to that of h^1; without factors, complete the latter.

    Args:
        factors: h^1 and messages.
        grad_state: of their product, from the layer that read it; None: no layer did.
        grad_sums_BF: of its sums.
        grad_base: of h^1, float32, what came to it so far; not read where no layer read the state.
        grad: filled, of the messages; without factors of h^1.
    """
    given = (*factors, grad_state, grad_base, grad)
    base, messages, grad_state_, grad_base_, grad_ = (_of_nodes(each, grad_sums_BF.shape[1]) for each in given)
    threads = torch.get_num_threads()
    _propagation.backward(base, messages, grad_state_, _flat(grad_sums_BF), grad_base_, grad_, threads)


def _of_nodes(states: Tensor | None, fields: int) -> Array | None:
    """Rows [B, F·D] as [1, N, D], planes [D, B, F] as [D, N, 1], N = B·F; what is absent stays so."""
    if states is None:
        return None
    if states.dim() == 2:  # noqa: PLR2004 - rows are a matrix
        return array_of(states).reshape(1, len(states) * fields, states.shape[1] // fields)
    return array_of(states).reshape(len(states), states.shape[1] * fields, 1)


def _flat(sums_BF: Tensor) -> Array:
    return array_of(sums_BF).reshape(-1)
