from __future__ import annotations

import numpy as np
import pytest

from loadtest.ranking.distributions import candidate_counts, page_counts, popularity, without_replacement


def test_items_are_popular_by_a_power_law_with_a_flat_top() -> None:
    share_I = popularity(4000)
    assert share_I.sum() == pytest.approx(1)
    # The share falls as 1 / (rank + 20): twice as far, half as popular; the first is no outlier.
    assert share_I[1979] / share_I[3979] == pytest.approx(2)
    assert share_I[0] / share_I[9] == pytest.approx(30 / 21)
    assert share_I[:40].sum() == pytest.approx(0.2, abs=0.02)


def test_candidate_counts_are_log_normal_clipped_and_the_seed_s() -> None:
    drawn = candidate_counts(np.random.default_rng(3), 50_000, median=100, sigma=0.7, most=1000)
    again = candidate_counts(np.random.default_rng(3), 50_000, median=100, sigma=0.7, most=1000)
    assert (drawn == again).all()
    assert (drawn != candidate_counts(np.random.default_rng(4), 50_000, median=100, sigma=0.7, most=1000)).any()
    assert drawn.min() >= 1
    assert drawn.max() == 1000
    # Quantiles of exp(N(log 100, 0.7)): 100 · exp(0.7 · 1.2816) and 100 · exp(0.7 · 2.3263).
    assert np.percentile(drawn, [50, 90, 99]) == pytest.approx([100, 245, 510], rel=0.04)


def test_without_spread_every_request_is_alike() -> None:
    assert set(candidate_counts(np.random.default_rng(1), 100, median=40, sigma=0, most=1000).tolist()) == {40}
    assert set(candidate_counts(np.random.default_rng(1), 100, median=40, sigma=0, most=8).tolist()) == {8}


def test_sessions_have_at_least_one_page_and_the_mean_that_was_asked_for() -> None:
    pages = page_counts(np.random.default_rng(5), 20_000, mean=3)
    assert pages.min() == 1
    assert pages.mean() == pytest.approx(3, abs=0.06)
    assert (page_counts(np.random.default_rng(5), 10, mean=1) == 1).all()


def test_draws_without_replacement_are_different_items_in_proportion_to_their_shares() -> None:
    random, share_I = np.random.default_rng(7), np.array([0.6, 0.3, 0.1, 0.0001])
    first = [int(without_replacement(random, share_I, 1)[0]) for _ in range(5000)]
    assert np.bincount(first, minlength=4)[:3] / 5000 == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert sorted(without_replacement(random, share_I, 4).tolist()) == [0, 1, 2, 3]
    drawn = without_replacement(random, popularity(1000), 300)
    assert len(set(drawn.tolist())) == 300
