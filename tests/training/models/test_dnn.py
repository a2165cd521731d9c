import numpy as np

from tests.training.models.slow import DIMENSION, IDS_BF, logits, looked_up, model_of, perceptron
from training.models.dnn import DNN


def dnn() -> DNN:
    model = model_of("dnn", embedding_size=DIMENSION, hidden=[5, 4])
    assert isinstance(model, DNN)
    return model


def test_the_logit_is_a_perceptrons_over_all_embeddings_in_line() -> None:
    model = dnn()
    expected = [perceptron(model.mlp, looked_up(model.embedding, ids_F).ravel()) for ids_F in IDS_BF]
    np.testing.assert_allclose(logits(model), expected, rtol=1e-10)


def test_a_dnn_costs_a_multiplication_per_weight() -> None:
    """With m = 4, d = 3: widths 12-5-4-1."""
    assert dnn().flops() == 12 * 5 + 5 * 4 + 4
    assert dnn().interaction_parameters() == dnn().flops() + 5 + 4 + 1


def test_a_dnns_hint_is_its_last_hidden_layer() -> None:
    assert dnn().hint_unit().in_features == 4
