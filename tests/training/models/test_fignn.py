"""FiGNN against loops written from its equations."""

import numpy as np
import pytest
import torch

from training.models.fignn import FiGNN
from training.models.registry import build

SIZES, FIELDS, DIMENSION, WIDTH, STEPS = [4, 3, 5, 2], 4, 3, 4, 2
OPTIONS = {"embedding_size": DIMENSION, "layers": STEPS, "heads": 2, "attention_size": 2}


def fignn() -> FiGNN:
    """In double precision, every weight counts."""
    torch.manual_seed(0)
    model = build("fignn", OPTIONS, SIZES).double()
    assert isinstance(model, FiGNN)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return model


def numbers(weights: torch.Tensor) -> np.ndarray:
    return weights.detach().numpy()


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def attended(model: FiGNN, embedded: np.ndarray) -> np.ndarray:
    """h^1: two heads of two numbers, with a residual."""
    query, key, value, residual = numbers(model.attention.projection.weight).reshape(4, 2, 2, DIMENSION)
    state = np.zeros((FIELDS, 2, 2))
    for i, h in np.ndindex(FIELDS, 2):
        shares = np.exp([(query[h] @ embedded[i]) @ (key[h] @ embedded[j]) for j in range(FIELDS)])
        heard = sum(share * (value[h] @ embedded[j]) for j, share in enumerate(shares / shares.sum()))
        state[i, h] = np.maximum(0, heard + residual[h] @ embedded[i])
    return state.reshape(FIELDS, WIDTH)


def edge_weights(model: FiGNN, embedded: np.ndarray) -> np.ndarray:
    """A, by pairs: one vector over both embeddings."""
    both = numbers(model.edges.ends.weight).ravel()
    weights = np.zeros((FIELDS, FIELDS))
    for i, j in np.ndindex(FIELDS, FIELDS):
        logit = both @ np.concatenate([embedded[i], embedded[j]])
        weights[i, j] = 0 if i == j else np.exp(max(logit, 0.01 * logit))
    return weights / weights.sum(axis=1, keepdims=True)


def gru(model: FiGNN, arriving: np.ndarray, state: np.ndarray) -> np.ndarray:
    """One node's update; weights of reset, update and new state lie one below the other."""
    from_arriving = numbers(model.gru.weight_ih) @ arriving + numbers(model.gru.bias_ih)
    from_state = numbers(model.gru.weight_hh) @ state + numbers(model.gru.bias_hh)
    (ra, za, na), (rh, zh, nh) = from_arriving.reshape(3, WIDTH), from_state.reshape(3, WIDTH)
    keep = sigmoid(za + zh)
    return (1 - keep) * np.tanh(na + sigmoid(ra + rh) * nh) + keep * state


def slow_logit(model: FiGNN, embedded: np.ndarray) -> float:
    weights, base = edge_weights(model, embedded), attended(model, embedded)
    state = base
    for step in model.graph_steps:
        leaving, arriving, bias = (numbers(w) for w in (step.leaving_FHH, step.arriving_FHH, step.bias_H))
        after = np.zeros_like(state)
        for i in range(FIELDS):
            heard = sum(weights[i, j] * (state[j] @ leaving[j] @ arriving[i]) for j in range(FIELDS))
            after[i] = gru(model, heard + bias, state[i]) + base[i]
        state = after
    (score, weight), (score_bias, weight_bias) = numbers(model.scores.weight), numbers(model.scores.bias)
    return float(sum(sigmoid(weight @ h + weight_bias) * (score @ h + score_bias) for h in state))


def test_the_logit_is_the_papers_graph() -> None:
    model = fignn()
    embedded_BFD = torch.randn(6, FIELDS, DIMENSION, dtype=torch.float64)
    expected = [slow_logit(model, numbers(embedded_FD)) for embedded_FD in embedded_BFD]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(numbers(model.interact(embedded_BFD)), expected, rtol=1e-10)


def test_what_a_node_hears_of_the_others_sums_to_one_and_of_itself_is_zero() -> None:
    edges_BFF = fignn().edges(torch.randn(3, FIELDS, DIMENSION, dtype=torch.float64))
    torch.testing.assert_close(edges_BFF.sum(2), torch.ones(3, FIELDS, dtype=torch.float64))
    assert (edges_BFF.diagonal(dim1=1, dim2=2) == 0).all()


def test_flops_are_those_of_the_parts() -> None:
    """With m = 4, d = 3, two heads of two: attention, A over 12 edges, two steps with a GRU per node, scores."""
    attention = 4 * 4 * 3 * 4 + 2 * 16 * (4 + 2)
    edges = 2 * 4 * 3 + 3 * 12
    steps = 2 * (8 * 4 * 16 + 12 * 4 + 7 * 4 * 4)
    assert fignn().flops() == attention + edges + steps + (2 * 4 * 4 + 3 * 4)


def test_parameters_are_those_of_the_parts() -> None:
    attention, edges, steps, gru_, scores = 4 * 3 * 4, 2 * 3, 2 * (2 * 4 * 16 + 4), 6 * 16 + 6 * 4, 2 * 4 + 2
    assert fignn().interaction_parameters() == attention + edges + steps + gru_ + scores


def test_a_single_field_is_refused() -> None:
    with pytest.raises(ValueError, match="fignn: got 1 field, expected two or more"):
        build("fignn", OPTIONS, [7])
