import numpy as np

from tests.training.models.slow import DIMENSION, IDS_BF, logits, looked_up, model_of
from training.models.fm import FM


def fm() -> FM:
    model = model_of("fm", embedding_size=DIMENSION)
    assert isinstance(model, FM)
    return model


def slow_logit(model: FM, ids_F: np.ndarray) -> float:
    """Eq. 1 of the paper: bias, linear part, every pair."""
    embedded_FD = looked_up(model.embedding, ids_F)
    logit = model.bias.item() + float(looked_up(model.linear, ids_F).sum())
    for i in range(4):
        for j in range(i + 1, 4):
            logit += float(np.dot(embedded_FD[i], embedded_FD[j]))
    return logit


def test_the_logit_is_the_papers_equation() -> None:
    model = fm()
    np.testing.assert_allclose(logits(model), [slow_logit(model, ids_F) for ids_F in IDS_BF], rtol=1e-10)


def test_fm_costs_a_square_per_number_and_sum_and_one_halving() -> None:
    """With m = 4, d = 3; 14 weights of ids."""
    assert fm().flops() == 4 * 3 + 3 + 1
    assert fm().interaction_parameters() == 14 + 1
