"""The two propagation layers against their equations, and the dynamic program against explicit path enumeration."""

import itertools

import numpy as np
import pytest
import torch

from training.layers.propagation import InnerPropagation, OuterPropagation, Propagation

FIELDS, DIMENSION = 4, 3
LAYERS = [InnerPropagation, OuterPropagation]


def message(layer: Propagation, state_D: np.ndarray, source: int, target: int) -> np.ndarray:
    """φ along one edge, from the equation."""
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


@pytest.mark.parametrize("layer_type", LAYERS)
def test_with_all_weights_one_a_state_counts_products_over_paths(layer_type: type[Propagation]) -> None:
    """The self-check of the published code: inner weights of one leave the bare products of embeddings."""
    layer = layer_type(FIELDS, DIMENSION).double()
    torch.nn.init.ones_(layer.p_FSD)
    base_FD = torch.rand(FIELDS, DIMENSION, dtype=torch.float64)
    if layer_type is OuterPropagation:
        torch.nn.init.ones_(layer.q_FSD)
        expected_FD = torch.stack([base_FD[s] * base_FD[: s + 1].sum() for s in range(FIELDS)])
    else:
        expected_FD = torch.stack([base_FD[s] * base_FD[: s + 1].sum(0) for s in range(FIELDS)])
    torch.testing.assert_close(layer(base_FD[None], base_FD[None])[0], expected_FD)


@pytest.mark.parametrize("layer_type", LAYERS)
def test_a_node_hears_nothing_from_higher_fields(layer_type: type[Propagation]) -> None:
    layer = layer_type(FIELDS, DIMENSION)
    state_BFD, base_BFD = torch.randn(1, FIELDS, DIMENSION), torch.randn(1, FIELDS, DIMENSION)
    changed_BFD = state_BFD.clone()
    changed_BFD[:, 2:] += 1.0
    before, after = layer(state_BFD, base_BFD), layer(changed_BFD, base_BFD)
    torch.testing.assert_close(before[:, :2], after[:, :2], rtol=0, atol=0)
    assert not torch.allclose(before[:, 2:], after[:, 2:])


@pytest.mark.parametrize("layer_type", LAYERS)
def test_the_dense_matrix_sends_the_same_messages(layer_type: type[Propagation]) -> None:
    layer = layer_type(FIELDS, DIMENSION)
    kernel = layer.block(layer.kernel(), slice(1, 4), slice(2, 4))
    state_BFD = torch.randn(5, 3, DIMENSION)
    dense_BX = state_BFD.flatten(1) @ layer.dense(kernel)
    torch.testing.assert_close(dense_BX.view(5, 2, DIMENSION), layer.send(state_BFD, kernel))
