import shutil
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from training.layers.full_propagation import FullPropagation
from training.layers.fused_propagation import COMPILED, fused_sums, is_fusible
from training.layers.plain_propagation import PlainPropagation
from training.layers.propagation import InnerPropagation, OuterPropagation, WeightedPropagation
from training.models.registry import build

if COMPILED:
    from training.native import _propagation

pytestmark = pytest.mark.skipif(
    not COMPILED and shutil.which("cc") is None, reason="no C compiler: the compiled propagation is not built"
)
FORMS = [InnerPropagation, OuterPropagation, FullPropagation]
NARROW, WIDE = (7, 16), (20, 16)
"""F and D with C as one matrix, and with the fields of each row mixed by themselves."""
sizes = st.tuples(st.integers(0, 40), st.tuples(st.integers(1, 30), st.integers(1, 33)), st.integers(1, 3))


def drawn(
    form: type[WeightedPropagation], rows: int, shape: tuple[int, int], layers: int, *, seed: int = 0
) -> tuple[Tensor, Tensor, nn.ModuleList]:
    """e, C and layers, of a size that keeps states of high order near one."""
    torch.manual_seed(seed)
    fields, dimension = shape
    propagations = nn.ModuleList(form(fields, dimension) for _ in range(layers))
    for parameter in propagations.parameters():
        nn.init.normal_(parameter, std=(fields * dimension) ** -0.25)
    return torch.randn(rows, fields, dimension), torch.randn(fields, fields) / fields**0.5, propagations


def by_equation(embedded_BFD: Tensor, connection_FF: Tensor, layers: list[WeightedPropagation]) -> Tensor:
    """S by the layers themselves."""
    states = [base_BFD := connection_FF @ embedded_BFD]
    for layer in layers:
        states.append(layer(states[-1], base_BFD))
    own = connection_FF.dtype  # as the model sums them, whatever the states are
    return torch.stack([state_BFD.sum(2, dtype=own) for state_BFD in states], dim=1)


Sums = Callable[[Tensor, Tensor, list[WeightedPropagation]], Tensor]


def sums_and_gradients(
    how: Sums, embedded_BFD: Tensor, connection_FF: Tensor, layers: nn.ModuleList
) -> tuple[Tensor, list[Tensor]]:
    """S, and the gradients of a weighted sum of S by e, C and every parameter."""
    leaves = [embedded_BFD.clone().requires_grad_(), connection_FF.clone().requires_grad_()]
    sums_BTF = how(*leaves, list(layers))  # type: ignore[arg-type]
    weights = torch.linspace(-1, 1, sums_BTF.numel()).to(sums_BTF.dtype).view_as(sums_BTF)
    return sums_BTF.detach(), list(torch.autograd.grad((sums_BTF * weights).sum(), [*leaves, *layers.parameters()]))


def assert_agree(found: tuple[Tensor, list[Tensor]], exact: tuple[Tensor, list[Tensor]], allowed: float) -> None:
    """Within `allowed` of the largest number of each tensor."""
    for number, (one, other) in enumerate(zip([found[0], *found[1]], [exact[0], *exact[1]], strict=True)):
        room = allowed * float(other.abs().max()) if other.numel() else 0.0
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=room, msg=lambda m, n=number: f"{n}: {m}")


def in_double(embedded_BFD: Tensor, connection_FF: Tensor, layers: nn.ModuleList) -> tuple[Tensor, list[Tensor]]:
    exact = sums_and_gradients(by_equation, embedded_BFD.double(), connection_FF.double(), layers.double())
    layers.float()
    return exact


def test_where_there_is_a_compiler_it_was_built() -> None:
    assert COMPILED, "make .venv/installed builds it"


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None, max_examples=25)
@given(sizes, st.integers(0, 2**31))
def test_sums_and_gradients_are_those_of_the_equations_in_double_precision(
    form: type[WeightedPropagation], sizes: tuple[int, tuple[int, int], int], seed: int
) -> None:
    given_ = drawn(form, *sizes, seed=seed)
    assert_agree(sums_and_gradients(fused_sums, *given_), in_double(*given_), 1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [NARROW, WIDE])
def test_under_bfloat16_it_is_as_close_to_the_equations_as_torchs_own(
    form: type[WeightedPropagation], shape: tuple[int, int]
) -> None:
    given_ = drawn(form, 400, shape, 3)
    exact = in_double(*given_)
    with torch.autocast("cpu", torch.bfloat16):
        found, own = (sums_and_gradients(how, *given_) for how in (fused_sums, by_equation))
    assert found[0].dtype == torch.float32
    for one, torchs, other in zip([found[0], *found[1]], [own[0], *own[1]], [exact[0], *exact[1]], strict=True):
        errors = [float((each.double() - other).square().mean().sqrt()) for each in (one, torchs)]
        assert 0 < errors[0] < 1.2 * errors[1]
        assert errors[0] < 0.03 * float(other.square().mean().sqrt())


@pytest.mark.parametrize("form", FORMS)
def test_threads_change_no_bit(form: type[WeightedPropagation], monkeypatch: pytest.MonkeyPatch) -> None:
    given_, found = drawn(form, 700, (5, 12), 2), []
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(sums_and_gradients(fused_sums, *given_))
    for sums, grads in found[1:]:
        assert torch.equal(sums, found[0][0])
        assert all(torch.equal(*pair) for pair in zip(grads, found[0][1], strict=True))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("halved", [False, True])
def test_what_is_not_finite_comes_out_and_only_in_its_row(
    form: type[WeightedPropagation], bad: float, *, halved: bool
) -> None:
    embedded_BFD, connection_FF, layers = drawn(form, 3, NARROW, 2)
    embedded_BFD[1, 2, 3] = bad
    with torch.autocast("cpu", torch.bfloat16, enabled=halved):
        sums_BTF = fused_sums(embedded_BFD, connection_FF, list(layers))  # type: ignore[arg-type]
    finite_B = sums_BTF.isfinite().flatten(1).all(1)
    assert finite_B.tolist() == [True, False, True]


@pytest.mark.skipif(not COMPILED, reason="not built")
@pytest.mark.parametrize("shape", [(1, 37, 16), (1, 37, 19), (1, 37, 3), (16, 37, 1), (3, 5000, 1)])
def test_every_instruction_set_of_this_machine_agrees(shape: tuple[int, int, int]) -> None:
    generator = np.random.default_rng(1)
    base, messages, state, grad, grad_state = generator.standard_normal((5, *shape), dtype=np.float32)
    sums, grad_sums = generator.standard_normal((2, shape[1]), dtype=np.float32)
    before = generator.standard_normal(shape, dtype=np.float32)
    for level in _propagation.levels():
        _propagation.forward(base, messages, state, sums, 2, level)
        np.testing.assert_array_equal(state, base * messages)
        np.testing.assert_allclose(sums, state.sum((0, 2)), atol=1e-5)
        whole, grad_base = grad_state + grad_sums[:, None], before.copy()
        _propagation.backward(base, messages, grad_state, grad_sums, grad_base, grad, 2, level)
        np.testing.assert_array_equal(grad, whole * base)
        np.testing.assert_allclose(grad_base, before + whole * messages, atol=1e-6)
        _propagation.backward(base, messages, None, grad_sums, grad_base, grad, 2, level)
        np.testing.assert_array_equal(grad_base, grad_sums[:, None] * messages)
        _propagation.backward(None, None, grad_state, grad_sums, before, grad, 2, level)
        np.testing.assert_allclose(grad, before + whole, atol=1e-6)


@pytest.mark.parametrize("name", ["dagfm_inner", "dagfm_outer", "dagfm_full"])
def test_a_student_trains_with_it_and_is_traced_without(name: str) -> None:
    model = build(name, {"embedding_size": 4, "layers": 2}, [5, 6, 7])
    ids_BF = torch.randint(0, 5, (9, 3)).int()
    embedded_BFD = model.embedding(ids_BF)
    assert "_States" in _history(model.interact(embedded_BFD))
    exported = torch.export.export(model, (ids_BF,))
    assert "States" not in str(exported.graph)
    torch.testing.assert_close(exported.module()(ids_BF), model(ids_BF))


def _history(logits_B: Tensor) -> str:
    names, ahead = [], [logits_B.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None:
            names.append(type(node).__name__)
            ahead += [each for each, _ in node.next_functions]
    return " ".join(names)


def test_other_precisions_and_layers_without_weights_are_left_to_torch() -> None:
    embedded_BFD, _, layers = drawn(OuterPropagation, 2, (3, 4), 1)
    assert is_fusible(embedded_BFD, list(layers))  # type: ignore[arg-type]
    assert not is_fusible(embedded_BFD.double(), list(layers))  # type: ignore[arg-type]
    assert not is_fusible(embedded_BFD, [PlainPropagation(3, 4)])
    model = build("dagfm_outer", {"embedding_size": 4, "layers": 1}, [5, 6]).double()
    assert model(torch.zeros(2, 2).int()).dtype == torch.float64


@pytest.mark.skipif(not COMPILED, reason="not built")
def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    base, sums = np.zeros((1, 6, 4), np.float32), np.zeros(6, np.float32)
    with pytest.raises(ValueError, match="base: got 2 planes of 4 numbers per node, expected one of both to be 1"):
        _propagation.forward(np.zeros((2, 6, 4), np.float32), None, None, sums, 1)
    with pytest.raises(ValueError, match=r"messages: got 3 axes of format f, the last of length 5; expected"):
        _propagation.forward(base, np.zeros((1, 6, 5), np.float32), base.copy(), sums, 1)
    with pytest.raises(ValueError, match=r"state: got 3 axes of format h.* of float32"):
        _propagation.forward(base, base, np.zeros((1, 6, 4), np.int16), sums, 1)
    with pytest.raises(ValueError, match="sums: got 1 axes of format f, the last of length 5"):
        _propagation.forward(base, None, None, sums[:5], 1)
    with pytest.raises(ValueError, match="messages, state: expected both or neither"):
        _propagation.forward(base, base, None, sums, 1)
    with pytest.raises(ValueError, match="base, messages: expected both or neither"):
        _propagation.backward(None, base, None, sums, base.copy(), base.copy(), 1)
    with pytest.raises(ValueError, match="threads: got 0, expected 1 to 4096"):
        _propagation.forward(base, None, None, sums, 0)
    with pytest.raises(ValueError, match="level: got mmx, which this machine has not"):
        _propagation.forward(base, None, None, sums, 1, "mmx")
    locked = base.copy()
    locked.flags.writeable = False
    with pytest.raises(ValueError, match=r"grad: got a numpy\.ndarray, expected a writable C-contiguous array"):
        _propagation.backward(base, base, None, sums, base.copy(), locked, 1)
