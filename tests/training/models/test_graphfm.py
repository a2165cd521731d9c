"""GraphFM against loops written from its equations."""

import numpy as np
import pytest
import torch

from training.layers.fm_aggregation import FMAggregation
from training.layers.neighbourhood import Neighbourhood
from training.models.graphfm import GraphFM
from training.models.registry import build

SIZES, FIELDS, DIMENSION, HEADS, STATE = [4, 3, 5, 2], 4, 3, 2, 4
OPTIONS = {"embedding_size": DIMENSION, "neighbours": [3, 2], "heads": HEADS, "attention_size": 2, "selection_size": 5}


def graphfm() -> GraphFM:
    """In double precision, every weight counts."""
    torch.manual_seed(0)
    model = build("graphfm", OPTIONS, SIZES).double()
    assert isinstance(model, GraphFM)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return model


def numbers(weights: torch.Tensor) -> np.ndarray:
    return weights.detach().numpy()


def affine(linear: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    return numbers(linear.weight) @ x + numbers(linear.bias)


def slow_weights(layer: Neighbourhood, state: np.ndarray) -> np.ndarray:
    """α by loops over nodes and neighbours."""
    weights = np.zeros((layer.heads, FIELDS, FIELDS))
    for i in range(FIELDS):
        products = [state[i] * state[j] for j in range(FIELDS)]
        hidden = [np.maximum(0, affine(layer.hidden, p)) for p in products]
        scores = np.array([float(numbers(layer.score.weight)[0] @ units) for units in hidden])
        chances = 1 / (1 + np.exp(-scores - layer.score.bias.item()))
        chosen = scores >= sorted(scores)[-layer.neighbours]
        for k in range(layer.heads):
            logits = [c * max(0.0, affine(layer.attention, p)[k]) for c, p in zip(chances, products, strict=True)]
            shares = chosen * np.exp(logits)
            weights[k, i] = shares / shares.sum()
    return weights


def slow_states(layer: FMAggregation, state: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The next states, node by node: products projected head by head before they are summed."""
    after = np.zeros((FIELDS, STATE))
    for i in range(FIELDS):
        projections = numbers(layer.projection_FKXA)[i]
        heads = [
            sum(weights[k, i, j] * ((state[i] * state[j]) @ projections[k]) for j in range(FIELDS))
            for k in range(HEADS)
        ]
        residual = state[i] @ numbers(layer.residual_FXY)[i] + numbers(layer.residual_bias_FY)[i]
        x = np.maximum(0, np.concatenate(heads) + np.maximum(0, residual))
        normal = (x - x.mean()) / np.sqrt(x.var() + layer.norm.eps)
        after[i] = normal * numbers(layer.norm.weight) + numbers(layer.norm.bias)
    return after


def slow_logit(model: GraphFM, embedded: np.ndarray) -> float:
    state, means = embedded, []
    for neighbourhood, aggregation in zip(model.neighbourhoods, model.aggregations, strict=True):
        assert isinstance(neighbourhood, Neighbourhood)
        assert isinstance(aggregation, FMAggregation)
        state = slow_states(aggregation, state, slow_weights(neighbourhood, state))
        means.append(state.mean(axis=0))
    return float(affine(model.readout, np.concatenate(means))[0])


def test_the_logit_is_the_equations() -> None:
    model = graphfm()
    embedded_BFD = torch.randn(6, FIELDS, DIMENSION, dtype=torch.float64)
    expected = [slow_logit(model, numbers(embedded_FD)) for embedded_FD in embedded_BFD]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(numbers(model.interact(embedded_BFD)), expected, rtol=1e-10)


def neighbourhood(neighbours: int) -> Neighbourhood:
    """Of one number per node: the score of an edge is the product itself, and attention makes no difference."""
    layer = Neighbourhood(FIELDS, 1, neighbours, heads=1, selection_size=1).double()
    with torch.no_grad():
        for weight, value in ((layer.hidden.weight, 1), (layer.score.weight, 1), (layer.attention.weight, 0)):
            weight.fill_(value)
    return layer


def heard(neighbours: int, states: list[float]) -> list[float]:
    """What the first node hears of each."""
    weights = neighbourhood(neighbours)(torch.tensor(states, dtype=torch.float64)[None, :, None])
    return numbers(weights)[0, 0, 0].tolist()


def test_a_node_hears_as_many_neighbours_as_it_may() -> None:
    """Of scores 1, 3, 4 and 2 the two largest, and nothing at all of the others."""
    assert heard(2, [1, 3, 4, 2]) == pytest.approx([0, 0.5, 0.5, 0])
    assert heard(3, [1, 3, 4, 2]) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])


def test_equal_scores_are_all_kept() -> None:
    assert heard(2, [1, 3, 3, 3]) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert heard(1, [1, 1, 1, 1]) == pytest.approx([0.25] * 4)


def test_flops_are_those_of_the_parts() -> None:
    """With m = 4, ten pairs, five units of the score, two heads of two; widths 3 and 4 come in."""
    scores = sum(10 * (x + x * 5 + 5 + x * 2 + 2 + 2) for x in (3, 4)) + 2 * 16 * 4
    layers = sum(16 * 2 * x + 4 * 2 * x + 2 * 4 * x * 4 + 3 * 4 * 5 for x in (3, 4))
    assert graphfm().flops() == scores + layers + 2 * 8


def test_parameters_are_those_of_the_parts() -> None:
    scores = sum((x + 2) * 5 + 1 + (x + 1) * 2 for x in (3, 4))
    layers = sum(2 * 4 * x * 4 + 4 * 4 + 2 * 4 for x in (3, 4))
    assert graphfm().interaction_parameters() == scores + layers + 9


def test_more_neighbours_than_fields_are_refused() -> None:
    with pytest.raises(ValueError, match=r"neighbours is \(5, 2\), expected none above 4, the number of fields"):
        build("graphfm", {**OPTIONS, "neighbours": [5, 2]}, SIZES)
