import numpy as np

from tests.training.models.slow import DIMENSION, IDS_BF, logits, looked_up, model_of, perceptron
from training.models.deepfm import DeepFM


def deepfm() -> DeepFM:
    model = model_of("deepfm", embedding_size=DIMENSION, hidden=[5, 4])
    assert isinstance(model, DeepFM)
    return model


def slow_logit(model: DeepFM, ids_F: np.ndarray) -> float:
    """Linear part, every pair's inner product, perceptron."""
    embedded_FD = looked_up(model.embedding, ids_F)
    logit = float(looked_up(model.linear, ids_F).sum()) + perceptron(model.mlp, embedded_FD.ravel())
    for i in range(4):
        for j in range(i + 1, 4):
            logit += float(np.dot(embedded_FD[i], embedded_FD[j]))
    return logit


def test_the_logit_is_the_papers_equation() -> None:
    model = deepfm()
    np.testing.assert_allclose(logits(model), [slow_logit(model, ids_F) for ids_F in IDS_BF], rtol=1e-10)


def test_deepfm_costs_its_squares_and_its_perceptron() -> None:
    """With m = 4, d = 3: widths 12-5-4-1; 14 weights of ids."""
    perceptron_weights = 12 * 5 + 5 * 4 + 4
    assert deepfm().flops() == (4 * 3 + 3 + 1) + perceptron_weights
    assert deepfm().interaction_parameters() == 14 + perceptron_weights + 5 + 4 + 1


def test_deepfms_hint_is_its_perceptrons_last_hidden_layer() -> None:
    model = deepfm()
    assert model.hint_unit() is model.mlp.output
