import numpy as np

from tests.training.models.slow import DIMENSION, IDS_BF, logits, looked_up, model_of, numbers
from training.models.fmfm import FmFM


def fmfm() -> FmFM:
    model = model_of("fmfm", embedding_size=DIMENSION)
    assert isinstance(model, FmFM)
    return model


def slow_logit(model: FmFM, ids_F: np.ndarray) -> float:
    """Linear part, then pair by pair in the order (0,1), (0,2), …; row of the matrix for the first field."""
    embedded_FD, matrices = looked_up(model.embedding, ids_F), iter(numbers(model.interaction.matrices_PDD))
    logit = model.bias.item() + float(looked_up(model.linear, ids_F).sum())
    for i in range(4):
        for j in range(i + 1, 4):
            for (a, b), weight in np.ndenumerate(next(matrices)):
                logit += embedded_FD[i, a] * weight * embedded_FD[j, b]
    return logit


def test_the_logit_is_the_papers_equation() -> None:
    model = fmfm()
    np.testing.assert_allclose(logits(model), [slow_logit(model, ids_F) for ids_F in IDS_BF], rtol=1e-10)


def test_fmfm_costs_a_matrix_and_an_inner_product_per_pair() -> None:
    """With m = 4, d = 3: six pairs; 14 weights of ids."""
    assert fmfm().flops() == 6 * (9 + 3)
    assert fmfm().interaction_parameters() == 14 + 6 * 9 + 1
