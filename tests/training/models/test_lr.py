import numpy as np
import pytest

from tests.training.models.slow import IDS_BF, SIZES, logits, looked_up, model_of
from training.models.lr import LR
from training.models.registry import build


def lr() -> LR:
    model = model_of("lr")
    assert isinstance(model, LR)
    return model


def test_the_logit_is_the_sum_of_the_ids_weights_and_the_bias() -> None:
    model = lr()
    expected = [looked_up(model.embedding, ids_F).sum() + model.bias.item() for ids_F in IDS_BF]
    np.testing.assert_allclose(logits(model), expected, rtol=1e-10)


def test_lr_multiplies_nothing_and_has_a_weight_per_id() -> None:
    assert lr().flops() == 0
    assert lr().parameter_count() == sum(SIZES) + 1


def test_longer_weights_are_refused() -> None:
    """Ignored, an embedding size of 16 would be reported of a model that has none."""
    with pytest.raises(ValueError, match=r"embedding_size\n.*less than or equal to 1"):
        build("lr", {"embedding_size": 16}, SIZES)


def test_lr_has_no_hint_to_give() -> None:
    with pytest.raises(ValueError, match="'lr' has no hidden representation"):
        lr().hint_unit()
