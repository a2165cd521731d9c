import numpy as np
import torch

from tests.training.models.slow import DIMENSION, IDS_BF, logits, looked_up, model_of
from training.models.ffm import FFM


def ffm() -> FFM:
    model = model_of("ffm", embedding_size=DIMENSION)
    assert isinstance(model, FFM)
    return model


def slow_logit(model: FFM, ids_F: np.ndarray) -> float:
    """Linear part, then pair by pair: of each value the D numbers that it keeps for the other's field."""
    aware_FX = looked_up(model.embedding, ids_F)
    logit = model.bias.item() + float(looked_up(model.linear, ids_F).sum())
    for i in range(4):
        for j in range(i + 1, 4):
            to_j, to_i = aware_FX[i, 3 * j : 3 * j + 3], aware_FX[j, 3 * i : 3 * i + 3]
            logit += float(np.dot(to_j, to_i))
    return logit


def test_the_logit_is_the_papers_equation() -> None:
    model = ffm()
    np.testing.assert_allclose(logits(model), [slow_logit(model, ids_F) for ids_F in IDS_BF], rtol=1e-10)


def test_what_a_value_keeps_for_its_own_field_is_never_read() -> None:
    model = ffm()
    model(torch.from_numpy(IDS_BF)).sum().backward()
    gradient_VFD = model.embedding.weight_VD.grad.unflatten(1, (4, 3))  # type: ignore[union-attr] # it was just made
    field_of_V = [0] * 4 + [1] * 3 + [2] * 5 + [3] * 2
    for row_FD, field in zip(gradient_VFD, field_of_V, strict=True):
        assert row_FD[field].abs().max() == 0
    assert gradient_VFD[0, 1].abs().max() > 0


def test_ffm_costs_an_inner_product_per_pair_and_keeps_one_embedding_per_field_and_id() -> None:
    """With m = 4, d = 3: six pairs, 14 ids."""
    assert ffm().flops() == 6 * 3
    assert ffm().interaction_parameters() == 14 + 1
    assert ffm().parameter_count() == 14 * 4 * 3 + 14 + 1
