"""Spread over seeds and the paired test, against numbers worked out by hand."""

import math

import pytest

from training.reproduce.statistics import Spread, compare


def test_one_seed_has_a_mean_and_no_spread() -> None:
    assert Spread.of([0.9]) == Spread(mean=0.9, deviation=None, seeds=1)
    assert Spread.of([1.0, 3.0]).deviation == pytest.approx(math.sqrt(2))


def test_a_difference_is_tested_seed_by_seed() -> None:
    """Differences 1, 2, 3: mean 2, standard error 1/√3, t = 2·√3 with two degrees of freedom."""
    found = compare([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert found.difference == 2.0
    t = 2 * math.sqrt(3)
    assert found.p == pytest.approx(1 - t / math.sqrt(t * t + 2))


def test_differences_that_are_all_the_same_have_no_test() -> None:
    assert compare([0.5, 0.75], [0.25, 0.5]).p is None
    assert compare([0.5], [0.4]).p is None
