from typing import cast

import numpy as np
import pytest

from tests.training.models.slow import DIMENSION, IDS_BF, Row, logits, looked_up, model_of, numbers, perceptron
from training.layers.cross import CrossLayer
from training.models.dcnv2 import DCNv2

STRUCTURES = ["parallel", "stacked"]


def dcnv2(structure: str) -> DCNv2:
    model = model_of("dcnv2", embedding_size=DIMENSION, hidden=[5, 4], layers=2, structure=structure)
    assert isinstance(model, DCNv2)
    return model


def slow_cross(model: DCNv2, base_X: Row) -> Row:
    """Eq. 1 of the paper, number by number."""
    state_X = base_X
    for layer in model.layers:
        linear = cast("CrossLayer", layer).linear
        weights_XX, bias_X = numbers(linear.weight), numbers(linear.bias)
        state_X = np.array(
            [base_X[x] * (np.dot(weights_XX[x], state_X) + bias_X[x]) + state_X[x] for x in range(len(base_X))]
        )
    return state_X


def slow_logit(model: DCNv2, ids_F: np.ndarray) -> float:
    base_X = looked_up(model.embedding, ids_F).ravel()
    crossed_X = slow_cross(model, base_X)
    if model.readout is None:
        return perceptron(model.mlp, crossed_X)
    return float(np.dot(numbers(model.readout.weight)[0], crossed_X)) + perceptron(model.mlp, base_X)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_logit_is_the_papers_equation(structure: str) -> None:
    model = dcnv2(structure)
    assert (model.readout is None) == (structure == "stacked")
    np.testing.assert_allclose(logits(model), [slow_logit(model, ids_F) for ids_F in IDS_BF], rtol=1e-9)


@pytest.mark.parametrize(("structure", "readout"), [("parallel", 12), ("stacked", 0)])
def test_dcnv2_costs_its_cross_layers_and_its_perceptron(structure: str, readout: int) -> None:
    """With m = 4, d = 3: widths 12-5-4-1."""
    model, perceptron_weights = dcnv2(structure), 12 * 5 + 5 * 4 + 4
    assert model.flops() == 2 * (12 * 12 + 12) + perceptron_weights
    assert model.interaction_parameters() == model.flops() + readout + 5 + 4 + 1
    assert model.parameter_count() == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("structure", STRUCTURES)
def test_dcnv2s_hint_is_its_perceptrons_last_hidden_layer(structure: str) -> None:
    model = dcnv2(structure)
    assert model.hint_unit() is model.mlp.output


def test_another_structure_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="structure"):
        dcnv2("sideways")
