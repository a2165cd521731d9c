from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from loadtest.traffic.draws import Stream, choices, normals, uniforms

MANY = np.arange(200_000)


def test_numbers_of_many_keys_are_uniform_and_independent_of_their_neighbours() -> None:
    numbers = uniforms(Stream.CLICK, 1, MANY)
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 4 / np.sqrt(len(MANY))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((Stream.CLICK, 1, 3, MANY), (Stream.LATE, 1, 3, MANY)),
        ((Stream.CLICK, 1, 3, MANY), (Stream.CLICK, 2, 3, MANY)),
        ((Stream.CLICK, 1, 3, MANY), (Stream.CLICK, 1, 4, MANY)),
        ((Stream.CLICK, 1, 3, MANY), (Stream.CLICK, 1, MANY, 3)),
    ],
    ids=["stream", "seed", "key", "order of keys"],
)
def test_a_change_of_anything_in_the_key_makes_other_numbers(one: tuple, other: tuple) -> None:
    first, second = uniforms(*one), uniforms(*other)
    differ = first != second
    assert differ.sum() >= len(MANY) - 1  # (3, 3) is the same in both orders
    assert abs(np.corrcoef(first[differ], second[differ])[0, 1]) < 4 / np.sqrt(len(MANY))


def test_a_number_depends_on_its_key_and_not_on_what_else_is_drawn() -> None:
    together = uniforms(Stream.APPEAL, 5, np.array([7, 8, 9]))
    assert [uniforms(Stream.APPEAL, 5, item)[0] for item in (7, 8, 9)] == together.tolist()
    assert uniforms(Stream.APPEAL, 5, np.array([9, 7])).tolist() == together[[2, 0]].tolist()


def test_the_numbers_stay_the_same_in_every_release() -> None:
    assert uniforms(Stream.CLICK, 1, 2, 3).tolist() == [0.3116902656977925]


def test_normals_are_standard_normal_and_choices_even() -> None:
    assert stats.kstest(normals(Stream.TASTE, 1, MANY), "norm").pvalue > 1e-4
    counts = np.bincount(choices(Stream.CONTEXT, 1, MANY, among=7), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-4
