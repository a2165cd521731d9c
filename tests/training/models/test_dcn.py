import numpy as np
import pytest

from tests.training.models.slow import DIMENSION, IDS_BF, logits, looked_up, model_of, numbers, perceptron
from training.models.dcn import DCN


def dcn(layers: int) -> DCN:
    model = model_of("dcn", embedding_size=DIMENSION, hidden=[5, 4], layers=layers)
    assert isinstance(model, DCN)
    return model


def slow_logit(model: DCN, ids_F: np.ndarray) -> float:
    """Eq. 3 of the paper, every state made, and the perceptron."""
    base_X = state_X = looked_up(model.embedding, ids_F).ravel()
    for weights_X, bias_X in zip(numbers(model.cross.weights_LX), numbers(model.cross.biases_LX), strict=True):
        state_X = base_X * np.dot(state_X, weights_X) + bias_X + state_X
    return float(np.dot(numbers(model.cross.readout_1X)[0], state_X)) + perceptron(model.mlp, base_X)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_the_logit_is_the_papers_equation(layers: int) -> None:
    model = dcn(layers)
    np.testing.assert_allclose(logits(model), [slow_logit(model, ids_F) for ids_F in IDS_BF], rtol=1e-9)


def test_dcn_costs_two_vectors_per_cross_layer_and_its_perceptron() -> None:
    """With m = 4, d = 3: widths 12-5-4-1."""
    perceptron_weights = 12 * 5 + 5 * 4 + 4
    assert dcn(3).flops() == 3 * 2 * 12 + perceptron_weights
    assert dcn(3).interaction_parameters() == 3 * 2 * 12 + 12 + perceptron_weights + 5 + 4 + 1


def test_dcns_hint_is_its_perceptrons_last_hidden_layer() -> None:
    model = dcn(2)
    assert model.hint_unit() is model.mlp.output
