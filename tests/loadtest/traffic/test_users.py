from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from loadtest.traffic.users import Population


@pytest.mark.parametrize("users", [400, 2000, 20_000])
def test_activity_is_shared_as_the_docstring_says_whatever_the_number_of_users(users: int) -> None:
    activity = Population(users, days=7, seed=1).activity_U
    assert activity.sum() == pytest.approx(1)
    shares = activity[: users // 100].sum(), activity[: users // 10].sum(), activity[users // 2 :].sum()
    assert shares == pytest.approx((0.11, 0.41, 0.22), abs=0.01)
    assert activity[0] * users == pytest.approx(16, abs=2.5)


def test_visits_follow_activity() -> None:
    population = Population(50, days=1, seed=3)
    counts = np.bincount([visit.user for visit in population.visits(200_000)], minlength=50)
    assert counts / 200_000 == pytest.approx(population.activity_U, abs=0.004)


def test_half_of_the_users_are_there_at_once_and_the_others_arrive_evenly() -> None:
    population = Population(20_000, days=5, seed=2)
    arrived = np.bincount(population.arrival_day_U, minlength=5) / 20_000
    assert arrived == pytest.approx([0.6, 0.1, 0.1, 0.1, 0.1], abs=0.01)


def test_nobody_comes_before_arriving_and_the_active_come_on_every_day() -> None:
    population = Population(300, days=6, seed=4)
    days_of: dict[int, set[int]] = {}
    for visit in population.visits(12_000):
        assert visit.day >= population.arrival_day_U[visit.user]
        days_of.setdefault(visit.user, set()).add(visit.day)
    for user in range(20):
        assert days_of[user] == set(range(population.arrival_day_U[user], 6))


def test_visits_are_numbered_through_days_of_equal_length() -> None:
    visits = list(Population(10, days=3, seed=1).visits(100))
    assert [visit.number for visit in visits] == list(range(100))
    assert sorted(Counter(visit.day for visit in visits).values()) == [33, 33, 34]
    assert all(before.day <= after.day for before, after in pairwise(visits))


def test_the_same_seed_brings_the_same_visits_and_another_one_other_people() -> None:
    first, again, other = (Population(100, days=7, seed=seed) for seed in (1, 1, 2))
    assert list(first.visits(500)) == list(again.visits(500)) != list(other.visits(500))
    one, other_one = (list(Population(100, days=1, seed=seed).visits(500)) for seed in (1, 2))
    assert one != other_one, "not by their days of arrival alone"
    assert first.unit(3) == again.unit(3) != other.unit(3)


def test_a_single_user_is_there_from_the_first_day() -> None:
    for seed in range(20):
        assert len(list(Population(1, days=4, seed=seed).visits(8))) == 8


@pytest.mark.parametrize(("users", "days"), [(0, 1), (1, 0)])
def test_nobody_or_no_time_is_an_error(users: int, days: int) -> None:
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        Population(users, days=days, seed=1)
