from __future__ import annotations

import numpy as np
import pytest

from loadtest.traffic.clicks import CEILING, ClickModel, relevance
from loadtest.traffic.truth import Truth

MODEL = ClickModel(seed=1)
ITEMS = np.arange(10)


def many(model: ClickModel, users: int, requests: int = 4, lift: float = 0.0) -> np.ndarray:
    """True probabilities [users, requests, 10] of random items."""
    random = np.random.default_rng(0)
    shown = random.integers(0, 3000, (users, requests, 10))
    return np.array(
        [[model.probabilities(user, items_K, lift=lift) for items_K in shown[user]] for user in range(users)]
    )


def test_a_lift_multiplies_every_probability_exactly() -> None:
    base, lifted = many(MODEL, 300), many(MODEL, 300, lift=0.2)
    assert lifted == pytest.approx(1.2 * base, rel=1e-12)
    assert lifted.sum() / base.sum() - 1 == pytest.approx(0.2, rel=1e-12)


def test_the_largest_lift_leaves_probabilities_and_a_larger_one_is_refused() -> None:
    lovers = ClickModel(seed=1, base=9.0)
    assert lovers.attraction(1, ITEMS).min() > CEILING * 0.9
    assert lovers.probabilities(1, ITEMS, lift=1.0).max() <= 1
    with pytest.raises(ValueError, match=r"got 1\.01, expected -1 to 1"):
        MODEL.probabilities(1, ITEMS, lift=1.01)
    with pytest.raises(ValueError, match=r"got -1\.5"):
        MODEL.probabilities(1, ITEMS, lift=-1.5)


def test_click_rate_and_intraclass_correlation_are_those_of_the_docstring() -> None:
    truth = Truth()
    for user, requests in enumerate(many(MODEL, 2500, requests=12)):
        truth.shown("any", str(user), requests.ravel(), np.zeros(requests.size, bool))
    assert truth.arms["any"].true_rate == pytest.approx(0.06, abs=0.005)
    assert truth.intraclass_correlation() == pytest.approx(0.03, abs=0.005)


def test_without_taste_the_clicks_of_a_user_are_hardly_alike() -> None:
    truth = Truth()
    for user, requests in enumerate(many(ClickModel(seed=1, taste=0.0, affinity=0.0), 1000, requests=12)):
        truth.shown("any", str(user), requests.ravel(), np.zeros(requests.size, bool))
    assert truth.intraclass_correlation() < 0.002


def test_position_bias_is_the_one_named_and_falls_with_rank() -> None:
    assert MODEL.examination(4) == pytest.approx([1, 0.63093, 0.5, 0.43068], abs=1e-5)
    assert ClickModel(seed=1, eta=0.5).examination(4) == pytest.approx([1, 0.70711, 0.57735, 0.5], abs=1e-5)
    same_item = np.full(10, 7)
    probability = MODEL.probabilities(3, same_item)
    assert probability / probability[0] == pytest.approx(MODEL.examination(10))


def test_clicks_come_as_often_as_their_probability_says() -> None:
    expected = clicks = variance = 0.0
    for visit in range(4000):
        probability = MODEL.probabilities(visit % 200, ITEMS)
        expected += probability.sum()
        variance += (probability * (1 - probability)).sum()
        clicks += MODEL.clicked(visit % 200, visit, ITEMS, probability).sum()
    assert abs(clicks - expected) < 4 * np.sqrt(variance)


def test_whether_an_item_is_clicked_does_not_depend_on_the_arm_or_what_stands_beside_it() -> None:
    half = np.full(10, 0.5)
    forwards = MODEL.clicked(3, 8, ITEMS, half)
    backwards = MODEL.clicked(3, 8, ITEMS[::-1], half)
    assert forwards.tolist() == backwards[::-1].tolist()
    assert forwards.any()
    assert not forwards.all()
    lifted = MODEL.clicked(3, 8, ITEMS, 1.5 * half)
    assert (lifted >= forwards).all(), "a lift adds clicks and takes none away"
    assert MODEL.clicked(3, 9, ITEMS, half).tolist() != forwards.tolist()


def test_relevance_is_the_logit_above_the_request_s_mean() -> None:
    logit = np.array([-2.0, 0.0, 5.0])
    assert relevance(1 / (1 + np.exp(-logit)), 2.0) == pytest.approx(2 * (logit - 1))
    assert np.isfinite(relevance(np.array([0.0, 1.0]), 1.0)).all()


def test_showing_what_is_relevant_first_earns_clicks() -> None:
    relevance_K = np.linspace(2, -2, 10)
    best, worst = (MODEL.probabilities(1, np.full(10, 4), order).sum() for order in (relevance_K, relevance_K[::-1]))
    assert best > 1.3 * worst
