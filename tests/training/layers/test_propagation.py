"""The propagation layers against their equations, and the dynamic program against explicit path enumeration."""

import itertools

import numpy as np
import pytest
import torch

from training.layers.full_propagation import FullPropagation
from training.layers.plain_propagation import PlainPropagation
from training.layers.propagation import InnerPropagation, OuterPropagation, Propagation, WeightedPropagation

FIELDS, DIMENSION = 4, 3
WEIGHTED: list[type[WeightedPropagation]] = [InnerPropagation, OuterPropagation, FullPropagation]
LAYERS: list[type[Propagation]] = [*WEIGHTED, PlainPropagation]


def message(layer: Propagation, state_D: np.ndarray, source: int, target: int) -> np.ndarray:
    """φ along one edge, from the equation."""
    if isinstance(layer, PlainPropagation):
        return state_D
    if isinstance(layer, FullPropagation):
        return state_D @ layer.weight_FDSD.detach().numpy()[source, :, target]
    assert isinstance(layer, InnerPropagation | OuterPropagation)
    p = layer.p_FSD.detach().numpy()[source, target]
    if isinstance(layer, InnerPropagation):
        return state_D * p
    return (state_D @ p) * layer.q_FSD.detach().numpy()[source, target]


@pytest.mark.parametrize("layer_type", LAYERS)
def test_a_layer_is_its_equation(layer_type: type[Propagation]) -> None:
    torch.manual_seed(0)
    layer = layer_type(FIELDS, DIMENSION)
    state_BFD, base_BFD = torch.randn(2, FIELDS, DIMENSION), torch.randn(2, FIELDS, DIMENSION)
    expected = np.zeros((2, FIELDS, DIMENSION))
    for row, target in itertools.product(range(2), range(FIELDS)):
        arriving = sum(message(layer, state_BFD[row, f].numpy(), f, target) for f in range(target + 1))
        expected[row, target] = base_BFD[row, target].numpy() * arriving
    np.testing.assert_allclose(layer(state_BFD, base_BFD).detach().numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer_type", LAYERS)
@pytest.mark.parametrize("fields", [1, 2, 4, 6])
def test_states_are_sums_over_every_non_decreasing_path(layer_type: type[Propagation], fields: int) -> None:
    """L layers sum, at node s, over all paths i_1 ≤ … ≤ i_{l+1} = s: the dynamic program of KD-DAGFM's Figure 2."""
    torch.manual_seed(fields)
    layers = [layer_type(fields, DIMENSION).double() for _ in range(3)]
    base_FD = torch.randn(fields, DIMENSION, dtype=torch.float64)
    state_BFD = base_FD[None]
    for layer in layers:
        state_BFD = layer(state_BFD, base_FD[None])
    expected = np.zeros((fields, DIMENSION))
    for path in itertools.combinations_with_replacement(range(fields), len(layers) + 1):
        state_D = base_FD[path[0]].numpy()
        for layer, (source, target) in zip(layers, itertools.pairwise(path), strict=True):
            state_D = message(layer, state_D, source, target) * base_FD[target].numpy()
        expected[path[-1]] += state_D
    np.testing.assert_allclose(state_BFD[0].detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def with_ones(layer_type: type[Propagation], fields: int) -> Propagation:
    """Every weight 1; the full form's matrices are the identity, which is 1 for matrices."""
    layer = layer_type(fields, DIMENSION).double()
    for parameter in layer.parameters():
        torch.nn.init.ones_(parameter)
    if isinstance(layer, FullPropagation):
        with torch.no_grad():
            layer.weight_FDSD.copy_(torch.eye(DIMENSION)[None, :, None, :].expand_as(layer.weight_FDSD))
    return layer


@pytest.mark.parametrize("layer_type", LAYERS)
@pytest.mark.parametrize("fields", [1, 4, 6])
def test_with_all_weights_one_a_state_counts_products_over_paths(layer_type: type[Propagation], fields: int) -> None:
    """The self-check of the published code: products of embeddings along every non-decreasing path.

    Outer messages of ones are ⟨h, 1⟩ · 1: there every product but the last ⊙ is one with the sum over dimensions.
    """
    layers = [with_ones(layer_type, fields) for _ in range(3)]
    base_FD = torch.rand(fields, DIMENSION, dtype=torch.float64)
    state_BFD = base_FD[None]
    for layer in layers:
        state_BFD = layer(state_BFD, base_FD[None])
    expected_FD = torch.zeros(fields, DIMENSION, dtype=torch.float64)
    for path in itertools.combinations_with_replacement(range(fields), len(layers) + 1):
        *heard, last = base_FD[list(path)]
        if layer_type is OuterPropagation:
            expected_FD[path[-1]] += torch.stack(heard).sum(1).prod() * last
        else:
            expected_FD[path[-1]] += torch.stack(heard).prod(0) * last
    torch.testing.assert_close(state_BFD[0], expected_FD)


@pytest.mark.parametrize("layer_type", LAYERS)
def test_a_node_hears_nothing_from_higher_fields(layer_type: type[Propagation]) -> None:
    layer = layer_type(FIELDS, DIMENSION)
    state_BFD, base_BFD = torch.randn(1, FIELDS, DIMENSION), torch.randn(1, FIELDS, DIMENSION)
    changed_BFD = state_BFD.clone()
    changed_BFD[:, 2:] += 1.0
    before, after = layer(state_BFD, base_BFD), layer(changed_BFD, base_BFD)
    torch.testing.assert_close(before[:, :2], after[:, :2], rtol=0, atol=0)
    assert not torch.allclose(before[:, 2:], after[:, 2:])


@pytest.mark.parametrize("layer_type", WEIGHTED)
def test_the_dense_matrix_sends_the_same_messages(layer_type: type[WeightedPropagation]) -> None:
    layer = layer_type(FIELDS, DIMENSION)
    kernel = layer.block(layer.kernel(), slice(1, 4), slice(2, 4))
    state_BFD = torch.randn(5, 3, DIMENSION)
    dense_BX = state_BFD.flatten(1) @ layer.dense(kernel)
    torch.testing.assert_close(dense_BX.view(5, 2, DIMENSION), layer.send(state_BFD, kernel))


@pytest.mark.parametrize(
    ("layer_type", "multiplications", "parameters"),
    [
        (InnerPropagation, 2 * 10 * 3, 3),
        (OuterPropagation, 3 * 10 * 3, 6),
        (FullPropagation, 10 * (9 + 3), 9),
        (PlainPropagation, 4 * 3, 0),
    ],
)
def test_costs_are_those_of_ten_edges_of_four_fields(
    layer_type: type[Propagation], multiplications: int, parameters: int
) -> None:
    """A weighted form pays per edge; without weights h^1 leaves the sum, and a node pays for one product."""
    layer = layer_type(FIELDS, DIMENSION)
    assert layer.multiplications() == multiplications
    assert layer.edge_parameters() == parameters


def test_a_full_layer_of_rank_one_is_an_outer_one() -> None:
    outer, full = OuterPropagation(FIELDS, DIMENSION), FullPropagation(FIELDS, DIMENSION)
    with torch.no_grad():
        full.weight_FDSD.copy_(outer.p_FSD.transpose(1, 2)[..., None] * outer.q_FSD[:, None])
    state_BFD, base_BFD = torch.randn(2, FIELDS, DIMENSION), torch.randn(2, FIELDS, DIMENSION)
    torch.testing.assert_close(full(state_BFD, base_BFD), outer(state_BFD, base_BFD))


def test_an_inner_layer_of_ones_is_a_plain_one() -> None:
    state_BFD, base_BFD = torch.randn(2, 2, FIELDS, DIMENSION, dtype=torch.float64)
    plain, inner = PlainPropagation(FIELDS, DIMENSION).double(), with_ones(InnerPropagation, FIELDS)
    torch.testing.assert_close(plain(state_BFD, base_BFD), inner(state_BFD, base_BFD))
