import numpy as np

from tests.training.models.slow import DIMENSION, IDS_BF, logits, looked_up, model_of, perceptron
from training.models.wide_deep import WideDeep


def wide_deep() -> WideDeep:
    model = model_of("wide_deep", embedding_size=DIMENSION, hidden=[5, 4])
    assert isinstance(model, WideDeep)
    return model


def test_the_logit_is_lrs_and_dnns() -> None:
    model = wide_deep()
    expected = [
        looked_up(model.linear, ids_F).sum() + perceptron(model.mlp, looked_up(model.embedding, ids_F).ravel())
        for ids_F in IDS_BF
    ]
    np.testing.assert_allclose(logits(model), expected, rtol=1e-10)


def test_wide_deep_costs_its_perceptron() -> None:
    """With m = 4, d = 3: widths 12-5-4-1; 14 weights of ids."""
    assert wide_deep().flops() == 12 * 5 + 5 * 4 + 4
    assert wide_deep().interaction_parameters() == 14 + wide_deep().flops() + 5 + 4 + 1


def test_wide_deeps_hint_is_its_perceptrons_last_hidden_layer() -> None:
    model = wide_deep()
    assert model.hint_unit() is model.mlp.output
