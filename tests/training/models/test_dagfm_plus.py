"""DAGFM+ against loops written from its equation."""

from typing import Any

import numpy as np
import pytest
import torch

from training.models.dagfm_plus import DAGFMPlus
from training.models.registry import build

SIZES, FIELDS, DIMENSION, LAYERS = [4, 3, 5, 2], 4, 3, 2
EDGES = FIELDS * (FIELDS + 1) // 2
STUDENTS = ["dagfm_plus_inner", "dagfm_plus_outer"]


def student(name: str, **options: Any) -> DAGFMPlus:
    """A student in double precision whose every weight counts."""
    torch.manual_seed(0)
    model = build(name, {"embedding_size": DIMENSION, "layers": LAYERS, "hidden": [5, 3], **options}, SIZES)
    assert isinstance(model, DAGFMPlus)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return model.double()


def numbers(weights: torch.Tensor) -> np.ndarray:
    return weights.detach().numpy()


def message(layer: torch.nn.Module, state_D: np.ndarray, source: int, target: int) -> np.ndarray:
    """φ along one edge, from the equation."""
    p = numbers(layer.p_FSD)[source, target]
    return state_D * p if not hasattr(layer, "q_FSD") else (state_D @ p) * numbers(layer.q_FSD)[source, target]


def slow_logit(model: DAGFMPlus, embedded_FD: np.ndarray) -> float:
    """States by loops over edges, their sum over the layers, and a perceptron unit by unit."""
    connection = numbers(model.connect_FF)
    base = np.array([sum(connection[s, f] * embedded_FD[f] for f in range(s + 1)) for s in range(FIELDS)])
    state, summed = base, base.copy()
    for layer in model.layers:
        arriving = [sum(message(layer, state[f], f, s) for f in range(s + 1)) for s in range(FIELDS)]
        state = base * np.array(arriving)
        summed += state
    hidden = summed.ravel()
    for linear in model.mlp.linears:
        hidden = np.array(
            [max(0.0, w @ hidden + b) for w, b in zip(numbers(linear.weight), numbers(linear.bias), strict=True)]
        )
    return float(numbers(model.mlp.output.weight)[0] @ hidden + model.mlp.output.bias.item())


@pytest.mark.parametrize("name", STUDENTS)
def test_a_perceptron_reads_the_sum_of_the_states(name: str) -> None:
    model = student(name)
    embedded_BFD = torch.randn(6, FIELDS, DIMENSION, dtype=torch.float64)
    expected = [slow_logit(model, numbers(embedded_FD)) for embedded_FD in embedded_BFD]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(numbers(model.interact(embedded_BFD)), expected, rtol=1e-12)


@pytest.mark.parametrize(("name", "per_edge"), [("dagfm_plus_inner", 2), ("dagfm_plus_outer", 3)])
def test_costs_are_the_propagations_and_the_perceptrons(name: str, per_edge: int) -> None:
    """Perceptron 12-5-3-1; an inner edge has one vector, an outer one two; C triangular."""
    model = student(name)
    perceptron = 12 * 5 + 5 * 3 + 3
    assert model.flops() == per_edge * EDGES * DIMENSION * LAYERS + perceptron
    weights = (per_edge - 1) * EDGES * DIMENSION * LAYERS
    assert model.interaction_parameters() == weights + EDGES + perceptron + (5 + 3 + 1)


def test_inner_weights_start_as_small_as_outer_ones() -> None:
    """Xavier normal with gain √2 on [m, m, d]: σ = √2·√(2 / (m·d + m·d)); without perceptron σ is 1."""
    torch.manual_seed(0)
    options = {"embedding_size": 16, "layers": 1}
    plain = build("dagfm_inner", options, [2] * 20)
    plus = build("dagfm_plus_inner", {**options, "hidden": [4]}, [2] * 20)
    deviations = [next(iter(model.layers)).p_FSD.std().item() for model in (plain, plus)]  # type: ignore[union-attr, arg-type, operator]
    assert deviations == pytest.approx([1, (2 / 320) ** 0.5], rel=0.05)


def test_hidden_units_are_dropped_in_training_only() -> None:
    model = student("dagfm_plus_outer", dropout=0.5)
    embedded_BFD = torch.randn(4, FIELDS, DIMENSION, dtype=torch.float64)
    assert not torch.equal(model.interact(embedded_BFD), model.interact(embedded_BFD))
    model.eval()
    assert torch.equal(model.interact(embedded_BFD), model.interact(embedded_BFD))


def test_the_hint_is_the_perceptrons_last_hidden_layer() -> None:
    model = student("dagfm_plus_inner")
    assert model.hint_unit() is model.mlp.output
