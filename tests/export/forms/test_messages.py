"""Every way of sending a layer's messages gives what the layer sends, and `reverse` is its transpose."""

import pytest
import torch

from export.forms.messages import DenseMessages, Messages, PerDimensionMessages, PrefixMessages, RankOneMessages, ways
from training.layers.full_propagation import FullPropagation
from training.layers.plain_propagation import PlainPropagation
from training.layers.propagation import InnerPropagation, OuterPropagation, Propagation, WeightedPropagation

FIELDS, DIMENSION, ROWS = 5, 3, 4
SOURCES, TARGETS = slice(0, 3), slice(1, 5)
KINDS: list[type[Propagation]] = [InnerPropagation, OuterPropagation, FullPropagation, PlainPropagation]
CASES = [(kind, name) for kind in KINDS for name in ways(kind(FIELDS, DIMENSION))]


def layer_of(kind: type[Propagation]) -> Propagation:
    torch.manual_seed(0)
    return kind(FIELDS, DIMENSION).double()


def sent(layer: Propagation, state_BFD: torch.Tensor) -> torch.Tensor:
    """From the sources to the targets: the layer's own messages of states that are zero at every other node."""
    if isinstance(layer, WeightedPropagation):
        return layer.send(state_BFD, layer.block(layer.kernel(), SOURCES, TARGETS))
    padded_BFD = torch.nn.functional.pad(state_BFD, (0, 0, SOURCES.start, FIELDS - SOURCES.stop))
    return layer.messages(padded_BFD)[:, TARGETS]


def flat(way: type[Messages], state_BFD: torch.Tensor) -> torch.Tensor:
    """[B, F, D] → [F·D, B] in a way's order."""
    ordered_BXX = state_BFD.transpose(1, 2) if way is PerDimensionMessages else state_BFD
    return ordered_BXX.flatten(1).T


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_way_sends_what_the_layer_sends(kind: type[Propagation], name: str) -> None:
    layer, state_BFD = layer_of(kind), torch.randn(ROWS, 3, DIMENSION, dtype=torch.float64)
    way = ways(layer)[name]
    expected_BSD = sent(layer, state_BFD)
    found_XN = way.along(layer, SOURCES, TARGETS)(flat(way, state_BFD))
    torch.testing.assert_close(found_XN, flat(way, expected_BSD))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_reverse_is_the_transpose_with_the_targets_weighted(kind: type[Propagation], name: str) -> None:
    """⟨w ⊙ h, K g⟩ = ⟨reverse(w) h, g⟩ for every h and g."""
    layer, weights_S = layer_of(kind), torch.randn(4, dtype=torch.float64)
    way = ways(layer)[name]
    messages = way.along(layer, SOURCES, TARGETS)
    sources_XN = torch.randn(3 * DIMENSION, ROWS, dtype=torch.float64)
    targets_XN = torch.randn(4 * DIMENSION, ROWS, dtype=torch.float64)
    weighted_XN = way.per_state(weights_S, DIMENSION)[:, None] * targets_XN
    expected_NN = weighted_XN.T @ messages(sources_XN)
    torch.testing.assert_close(messages.reverse(weights_S)(targets_XN).T @ sources_XN, expected_NN)


@pytest.mark.parametrize("name", ["dense", "per_dimension"])
def test_the_connection_mixes_fields_into_the_ways_order(name: str) -> None:
    way = ways(layer_of(InnerPropagation))[name]
    embedded_BFD = torch.randn(ROWS, 3, DIMENSION, dtype=torch.float64)
    connection_SF = torch.randn(2, 3, dtype=torch.float64)
    found_XN = way.mix(connection_SF, embedded_BFD.flatten(1).T)
    torch.testing.assert_close(found_XN, flat(way, connection_SF @ embedded_BFD))


def test_a_way_that_is_not_the_layers_is_refused() -> None:
    with pytest.raises(TypeError, match="no rank-one kernels"):
        RankOneMessages.along(layer_of(InnerPropagation), SOURCES, TARGETS)
    with pytest.raises(TypeError, match="mixes dimensions"):
        PerDimensionMessages.along(layer_of(OuterPropagation), SOURCES, TARGETS)
    with pytest.raises(TypeError, match="has no kernel"):
        DenseMessages.along(layer_of(PlainPropagation), SOURCES, TARGETS)
    with pytest.raises(TypeError, match="weights its messages"):
        PrefixMessages.along(layer_of(InnerPropagation), SOURCES, TARGETS)
