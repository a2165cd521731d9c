import torch

from training.data.batches import epoch_batches


def rows(seed: int, epoch: int) -> list[int]:
    return torch.cat(list(epoch_batches(103, 10, seed=seed, epoch=epoch))).tolist()


def test_every_row_comes_once_per_epoch() -> None:
    assert sorted(rows(0, 0)) == list(range(103))


def test_batches_are_full_but_the_last() -> None:
    assert [len(batch) for batch in epoch_batches(103, 10, seed=0, epoch=0)] == [10] * 10 + [3]


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    assert rows(0, 1) == rows(0, 1)
    assert rows(0, 1) != rows(0, 2)
    assert rows(1, 1) != rows(0, 1)
