import random

import numpy as np
import pytest

from training.data import splits
from training.data.splits import shuffled, split_by_time, split_rows, time_bounds


@pytest.mark.parametrize(("rows", "seed"), [(1, 0), (2, 5), (1_000, 2022), (70_001, 7)])
def test_rows_are_shuffled_as_python_shuffles(rows: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(range(rows))
    random.Random(seed).shuffle(expected)  # noqa: S311 - the protocol names this generator
    assert shuffled(rows, seed).tolist() == expected
    monkeypatch.setattr(splits, "COMPILED", False)
    assert shuffled(rows, seed).tolist() == expected


def test_shares_are_the_decimal_numbers_that_they_are_written_as() -> None:
    """A tenth of 1,000,209 rows is 100,020, and three tenths of 10 are 3, though 0.3 as a float is less."""
    assert len(split_rows(10, validation=0.3, test=0.1).validation) == 3
    split = split_rows(1_009)
    assert [len(part) for part in (split.test, split.validation, split.train)] == [100, 100, 809]


def test_the_latest_rows_test_and_rows_of_one_time_stay_together() -> None:
    time_N = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 5.0, 2.0, 1.0, 1.0, 1.0])
    split = split_by_time(time_N, *time_bounds(time_N, 0.2, 0.1))
    assert sorted(time_N[split.test]) == [5, 5]
    assert max(time_N[split.train]) < min(time_N[split.validation]) < 5
    assert sorted([*split.train, *split.validation, *split.test]) == list(range(10))
