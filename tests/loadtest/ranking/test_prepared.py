from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict

import numpy as np
import orjson
import pytest

from loadtest.ranking.known import Known
from loadtest.ranking.prepared import ID_LENGTH, Prepared, Traffic, pages, prepare

KNOWN = Known(context={"user": [f"u{n}" for n in range(500)]}, items=[f"i{n}" for n in range(1000)], candidate={})
TRAFFIC = Traffic(requests=700, users=300, candidates=20, most=100, feedback=0.3)


def bodies(made: list[Prepared]) -> list[dict[str, object]]:
    return [orjson.loads(request.message(b"x" * ID_LENGTH).partition(b"\r\n\r\n")[2]) for request in made]


def test_the_same_seed_makes_the_same_requests_and_another_one_others() -> None:
    made = prepare(KNOWN, TRAFFIC, "test", "/predict")
    assert made == prepare(KNOWN, TRAFFIC, "test", "/predict")
    assert len(made) == 700
    other = prepare(KNOWN, dataclasses.replace(TRAFFIC, seed=2), "test", "/predict")
    assert sum(one == another for one, another in zip(made, other, strict=True)) == 0


def test_a_few_users_ask_often_and_each_has_one_context() -> None:
    asked = bodies(prepare(KNOWN, TRAFFIC, "test", "/predict"))
    contexts = defaultdict(set)
    for body in asked:
        contexts[body["unit"]].add(orjson.dumps(body["context"]))
    assert {len(found) for found in contexts.values()} == {1}
    counts = Counter(body["unit"] for body in asked).most_common()
    assert sum(count for _, count in counts[: len(counts) // 10]) > 0.2 * len(asked)


def test_a_session_asks_several_times_with_one_context_and_others_come_between() -> None:
    units = [page.user for page in pages(TRAFFIC, 1000)]
    last_seen: dict[int, int] = {}
    gaps = []
    for number, user in enumerate(units):
        if user in last_seen:
            gaps.append(number - last_seen[user])
        last_seen[user] = number
    assert len(gaps) > 0.6 * len(units), "contexts come again"
    assert np.median(gaps) > 5, "and not at once"


def test_popular_items_are_asked_about_most_and_none_twice_in_one_request() -> None:
    asked = [page.items_N.tolist() for page in pages(TRAFFIC, 1000)]
    assert all(len(set(items)) == len(items) for items in asked)
    counts = np.sort(np.bincount([item for items in asked for item in items], minlength=1000))[::-1]
    assert counts[:100].sum() > 0.3 * counts.sum()


def test_the_share_of_requests_with_feedback_is_the_one_asked_for() -> None:
    made = prepare(KNOWN, TRAFFIC, "test", "/predict")
    share = sum(request.clicked_to is not None for request in made) / len(made)
    assert share == pytest.approx(0.3, abs=0.06)
    assert all(
        request.clicked_to is None for request in prepare(KNOWN, dataclasses.replace(TRAFFIC, feedback=0), "t", "/p")
    )


def test_users_click_the_first_rank_more_often_than_the_tenth_by_the_examination_of_the_click_model() -> None:
    made = prepare(KNOWN, dataclasses.replace(TRAFFIC, feedback=1), "test", "/predict")
    deepest = np.array([rank for request in made for rank in request.clicked_to or ()])
    at_rank = np.array([(deepest >= rank).mean() for rank in (1, 3, 10)])
    assert at_rank[1:] / at_rank[0] == pytest.approx(1 / np.log2([4, 11]), rel=0.15)
    assert deepest.max() <= TRAFFIC.shown
