import pytest
import torch

from training.data.batches import TensorRows
from training.data.folds import Fold


def rows(first: int, count: int) -> TensorRows:
    """Rows numbered by their only id."""
    return TensorRows(torch.arange(first, first + count, dtype=torch.int32)[:, None], torch.zeros(count))


def test_folds_share_out_training_and_validation_rows_and_lose_none() -> None:
    train, validation = rows(0, 17), rows(17, 5)
    held_out = []
    for index in range(3):
        taught, held = Fold(index=index, folds=3, seed=4).split(train, validation)
        assert sorted([*taught.ids_NF[:, 0].tolist(), *held.ids_NF[:, 0].tolist()]) == list(range(22))
        held_out += held.ids_NF[:, 0].tolist()
    assert sorted(held_out) == list(range(22))


def test_a_fold_mixes_rows_of_both_parts() -> None:
    mask_N = Fold(index=0, folds=3, seed=4).held_out(300)
    assert 0 < int(mask_N[:200].sum()) < 100
    assert 0 < int(mask_N[200:].sum()) < 100


@pytest.mark.parametrize(("index", "folds"), [(3, 3), (-1, 3), (0, 1)])
def test_a_fold_that_does_not_exist_is_refused(index: int, folds: int) -> None:
    with pytest.raises(ValueError, match="expected 0 ≤ i < k"):
        Fold(index=index, folds=folds, seed=0)
