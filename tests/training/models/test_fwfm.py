import numpy as np
import torch

from tests.training.models.slow import DIMENSION, IDS_BF, logits, looked_up, model_of, numbers
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


def test_untrained_weights_have_both_signs() -> None:
    """Training from equal ones, a factorization machine, arrives at less AUC."""
    torch.manual_seed(0)
    model = build("fwfm", {"embedding_size": DIMENSION}, [2] * 20)
    assert isinstance(model, FwFM)
    positive = (model.interaction.weights_P > 0).sum()
    assert 0.35 * 190 < positive < 0.65 * 190


def test_with_a_weight_of_one_for_every_pair_fwfm_is_fm() -> None:
    model, fm = fwfm(), model_of("fm", embedding_size=DIMENSION)
    torch.nn.init.ones_(model.interaction.weights_P)
    fm.load_state_dict({name: value for name, value in model.state_dict().items() if name in fm.state_dict()})
    np.testing.assert_allclose(logits(model), logits(fm), rtol=1e-10)
