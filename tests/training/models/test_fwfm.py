import numpy as np
import torch

from tests.training.models.slow import DIMENSION, IDS_BF, SIZES, logits, looked_up, model_of, numbers
from training.models.fwfm import FwFM
from training.models.registry import build


def fwfm() -> FwFM:
    model = model_of("fwfm", embedding_size=DIMENSION)
    assert isinstance(model, FwFM)
    return model


def slow_logit(model: FwFM, ids_F: np.ndarray) -> float:
    """Linear part, then pair by pair in the order (0,1), (0,2), …"""
    embedded_FD, weights = looked_up(model.embedding, ids_F), iter(numbers(model.interaction.weights_P))
    logit = model.bias.item() + float(looked_up(model.linear, ids_F).sum())
    for i in range(4):
        for j in range(i + 1, 4):
            logit += next(weights) * float(np.dot(embedded_FD[i], embedded_FD[j]))
    return logit


def test_the_logit_is_the_papers_equation() -> None:
    model = fwfm()
    np.testing.assert_allclose(logits(model), [slow_logit(model, ids_F) for ids_F in IDS_BF], rtol=1e-10)


def test_fwfm_costs_two_multiplications_per_pair_and_dimension() -> None:
    """With m = 4, d = 3: six pairs; 14 weights of ids."""
    assert fwfm().flops() == 2 * 6 * 3
    assert fwfm().interaction_parameters() == 14 + 6 + 1


def test_an_untrained_fwfm_is_a_factorization_machine() -> None:
    model = build("fwfm", {"embedding_size": DIMENSION}, SIZES)
    embedded_BFD = torch.randn(5, 4, 3)
    sum_BD = embedded_BFD.sum(1)
    expected_B = ((sum_BD**2).sum(1) - (embedded_BFD**2).sum((1, 2))) / 2
    torch.testing.assert_close(model.interact(embedded_BFD), expected_B)
