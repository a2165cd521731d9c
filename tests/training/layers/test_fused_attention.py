import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.layers.attention import InteractingLayer, attended
from training.layers.fused_attention import COMPILED, PARTS, fused, is_fusible

if COMPILED:
    from training.native import _attention

pytestmark = pytest.mark.skipif(
    not COMPILED and shutil.which("cc") is None, reason="no C compiler: the compiled attention is not built"
)
ROWS, FIELDS, HEADS, SIZE = 37, 7, 2, 5
sizes = st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(1, 3), st.integers(1, 40))


def drawn(rows: int, fields: int, heads: int, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What is projected, and the gradient of what comes out."""
    generator = torch.Generator().manual_seed(seed)
    projected = torch.randn(rows, fields, PARTS * heads * size, generator=generator)
    return projected, torch.randn(rows, fields, heads * size, generator=generator)


def in_double(projected: torch.Tensor, grad: torch.Tensor, heads: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and gradient by torch's own operators in float64."""
    leaf = projected.double().requires_grad_()
    out = attended(leaf, heads, size)
    (back,) = torch.autograd.grad(out, leaf, grad.double())
    return out.detach().float(), back.float()


def by_compiled(
    projected: torch.Tensor, grad: torch.Tensor, heads: int, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = projected.clone().requires_grad_()
    out = fused(leaf, heads, size)
    (back,) = torch.autograd.grad(out, leaf, grad)
    return out.detach().float(), back.float()


def test_where_there_is_a_compiler_it_was_built() -> None:
    assert COMPILED, "make .venv/installed builds it"


@settings(deadline=None, max_examples=60)
@given(sizes, st.integers(0, 2**31))
def test_output_and_gradient_are_those_of_torch_in_double_precision(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    projected, grad = drawn(*shape, seed)
    expected, found = in_double(projected, grad, *shape[2:]), by_compiled(projected, grad, *shape[2:])
    # at a sum within rounding of zero ReLU may be open in one and shut in the other: such rows are not compared
    open_B = ((expected[0] > 0) == (found[0] > 0)).flatten(1).all(1)
    assert open_B.float().mean() > 0.9 or shape[0] == 0
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1][open_B], expected[1][open_B], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", _attention.levels() if COMPILED else [])
def test_every_instruction_set_of_this_machine_agrees(level: str) -> None:
    fields, heads, size = 39, 2, 32
    projected, grad = drawn(ROWS, fields, heads, size, seed=1)
    expected = in_double(projected, grad, heads, size)
    out, back = np.empty((ROWS, fields, heads * size), np.float32), np.empty(projected.shape, np.float32)
    asked = (fields, heads, size, False, 2, level)
    _attention.forward(projected.numpy(), out, *asked)
    _attention.backward(projected.numpy(), out, grad.numpy(), back, *asked)
    torch.testing.assert_close(torch.from_numpy(out), expected[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(back), expected[1], rtol=1e-4, atol=1e-4)


def test_bfloat16_rounds_what_comes_out_and_nothing_between() -> None:
    projected, grad = (each.bfloat16() for each in drawn(ROWS, FIELDS, HEADS, SIZE, seed=2))
    expected = in_double(projected, grad, HEADS, SIZE)
    leaf = projected.clone().requires_grad_()
    out = fused(leaf, HEADS, SIZE)
    (back,) = torch.autograd.grad(out, leaf, grad)
    assert out.dtype == back.dtype == torch.bfloat16
    for found, exact in zip((out, back), expected, strict=True):
        torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-6)
        assert (found == exact.bfloat16()).float().mean() > 0.99  # the nearest one, but where rounding was a close call


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    projected, grad = drawn(200, FIELDS, HEADS, SIZE, seed=3)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(by_compiled(projected, grad, HEADS, SIZE))
    for out, back in found[1:]:
        assert torch.equal(out, found[0][0])
        assert torch.equal(back, found[0][1])


def test_a_gradient_that_is_not_contiguous_is_read_as_it_is() -> None:
    projected, grad = drawn(ROWS, FIELDS, HEADS, SIZE, seed=4)
    strided = grad.transpose(0, 1).contiguous().transpose(0, 1)
    assert not strided.is_contiguous()
    assert torch.equal(by_compiled(projected, strided, HEADS, SIZE)[1], by_compiled(projected, grad, HEADS, SIZE)[1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_not_finite_comes_out_where_torch_lets_it_out(bad: float, part: int) -> None:
    projected, _ = drawn(3, FIELDS, HEADS, SIZE, seed=5)
    projected[1, 2, part * HEADS * SIZE] = bad
    expected, found = attended(projected, HEADS, SIZE), fused(projected, HEADS, SIZE)
    assert torch.equal(found.isnan(), expected.isnan())
    assert not found[0].isnan().any()


def test_large_products_do_not_overflow() -> None:
    projected, grad = drawn(ROWS, FIELDS, HEADS, SIZE, seed=6)
    expected, found = (each(projected * 30, grad, HEADS, SIZE) for each in (in_double, by_compiled))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-3, atol=1e-3)


def test_the_layer_trains_with_it_and_is_traced_without() -> None:
    layer, state = InteractingLayer(4, HEADS, SIZE), torch.randn(ROWS, FIELDS, 4)
    assert "Attention" in type(layer(state).grad_fn).__name__
    exported = torch.export.export(layer, (state,))
    assert "softmax" in str(exported.graph)
    torch.testing.assert_close(exported.module()(state), layer(state))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_precisions_are_left_to_torch(dtype: torch.dtype) -> None:
    assert not is_fusible(torch.zeros(1, 1, 4, dtype=dtype))
    layer = InteractingLayer(4, HEADS, SIZE).to(dtype)
    assert layer(torch.zeros(2, FIELDS, 4, dtype=dtype)).dtype == dtype


def test_arrays_of_other_shapes_and_types_are_refused() -> None:
    projected = np.zeros((2, 3, 8), np.float32)
    out = np.zeros((2, 3, 2), np.float32)
    with pytest.raises(ValueError, match=r"out: got 3 axes of format f, expected \[rows, 3, 2\] of float32"):
        _attention.forward(projected, out[:1], 3, 2, 1, False, 1)
    with pytest.raises(ValueError, match=r"projected: got 3 axes of format f, .* of bfloat16's bits as int16"):
        _attention.forward(projected, out, 3, 2, 1, True, 1)
    with pytest.raises(ValueError, match="heads: got 0, expected 1 to 4096"):
        _attention.forward(projected, out, 3, 0, 1, False, 1)
    with pytest.raises(ValueError, match="level: got mmx, which this machine has not"):
        _attention.forward(projected, out, 3, 2, 1, False, 1, "mmx")
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected a writable C-contiguous array"):
        _attention.forward(projected, out, 3, 2, 1, False, 1)
