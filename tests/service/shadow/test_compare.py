from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau

from service.shadow.compare import PERSISTENCE, TOP, Comparison, compare, logits
from service.shadow.kendall import count_inversions, kendall_tau_b

PROBABILITIES = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*[arrays(np.float32, n, elements=st.sampled_from([0, 0.1, 0.25, 0.5, 0.9, 1])) for _ in "ab"])
)
"""Two lists of one length, N = 1 among them, mostly of ties."""


def random_pair(rows: int, seed: int, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    first_N = random.random(rows)
    return first_N.astype(np.float32), np.clip(first_N + random.normal(0, noise, rows), 0, 1).astype(np.float32)


def order_of(probabilities_N: np.ndarray) -> list[int]:
    return sorted(range(len(probabilities_N)), key=lambda i: (-probabilities_N[i], i))


def slow_rank_biased_overlap(first: list[int], second: list[int], depths: int = 2000) -> float:
    """The definition, far beyond the end of both lists, where all their candidates are shared."""
    total = 0.0
    for depth in range(1, depths + 1):
        shared = len(set(first[:depth]) & set(second[:depth]))
        total += PERSISTENCE ** (depth - 1) * shared / min(depth, len(first))
    return (1 - PERSISTENCE) * total


def agreement(found: Comparison) -> tuple[float | None, float, float, bool]:
    return found.kendall_tau_b, found.top_k_overlap, found.rank_biased_overlap, found.top_1_flip


@given(PROBABILITIES)
def test_tau_b_is_scipys_with_any_ties(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = kendall_tau_b(*pair)
    if found is None:
        assert min(len(np.unique(values_N)) for values_N in pair) < 2
    else:
        assert found == pytest.approx(float(kendalltau(*pair).statistic), abs=1e-12)


@pytest.mark.parametrize("rows", [2, 3, 200, 5000])
def test_tau_b_is_scipys_without_ties(rows: int) -> None:
    pair = random_pair(rows, seed=rows)
    assert kendall_tau_b(*pair) == pytest.approx(float(kendalltau(*pair).statistic), abs=1e-12)


@given(st.lists(st.integers(0, 40), max_size=50))
def test_inversions_are_those_that_a_loop_over_pairs_finds(values: list[int]) -> None:
    slow = sum(values[i] > values[j] for j in range(len(values)) for i in range(j))
    assert count_inversions(np.array(values, np.int64)) == slow


@given(PROBABILITIES)
def test_overlaps_and_flip_are_those_of_a_loop_over_depths(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = compare(*pair)
    first, second = order_of(pair[0]), order_of(pair[1])
    top = min(TOP, len(first))
    assert found.top_k_overlap == len(set(first[:top]) & set(second[:top])) / top
    assert found.rank_biased_overlap == pytest.approx(slow_rank_biased_overlap(first, second), abs=1e-12)
    assert found.top_1_flip == (first[0] != second[0])


def test_ranks_beyond_what_is_summed_change_nothing() -> None:
    pair = random_pair(3000, seed=1)
    slow = slow_rank_biased_overlap(*map(order_of, pair), depths=3500)
    assert compare(*pair).rank_biased_overlap == pytest.approx(slow, abs=1e-12)


@given(PROBABILITIES)
def test_it_does_not_matter_which_of_two_models_is_the_first(pair: tuple[np.ndarray, np.ndarray]) -> None:
    forth, back = compare(*pair), compare(*reversed(pair))
    assert agreement(forth) == agreement(back)
    np.testing.assert_array_equal(forth.probability_gap_N, back.probability_gap_N)


@pytest.mark.parametrize("rows", [1, 2, 9, 10, 11, 200, 5000])
def test_a_model_agrees_with_itself_wholly(rows: int) -> None:
    first_N, _ = random_pair(rows, seed=3)
    found = compare(first_N, first_N.copy())
    assert agreement(found) == (None if rows == 1 else pytest.approx(1, abs=1e-12), 1.0, 1.0, False)
    assert not found.probability_gap_N.any()
    assert not found.logit_gap_N.any()


def test_the_opposite_order_has_tau_minus_one_and_shares_no_top() -> None:
    rising_N = np.linspace(0.1, 0.9, 40, dtype=np.float32)
    found = compare(rising_N, rising_N[::-1].copy())
    assert found.kendall_tau_b == pytest.approx(-1)
    assert found.top_k_overlap == 0
    assert found.top_1_flip


def test_equal_probabilities_keep_the_order_of_the_request() -> None:
    tied_N = np.full(30, 0.5, np.float32)
    found = compare(tied_N, np.linspace(0.9, 0.1, 30, dtype=np.float32))
    assert agreement(found) == (None, 1.0, 1.0, False)


def test_one_candidate_has_gaps_but_no_order() -> None:
    found = compare(np.array([0.5], np.float32), np.array([0.75], np.float32))
    assert agreement(found) == (None, 1.0, 1.0, False)
    assert found.probability_gap_N.tolist() == [0.25]
    assert found.logit_gap_N[0] == pytest.approx(math.log(3))


@given(arrays(np.float32, st.integers(1, 20), elements=st.floats(0, 1, width=32)))
def test_every_probability_has_a_finite_logit_that_rises_with_it(probabilities_N: np.ndarray) -> None:
    logits_N = logits(np.sort(probabilities_N))
    assert np.isfinite(logits_N).all()
    assert (np.diff(logits_N) >= 0).all()


def test_a_logit_is_the_inverse_of_the_sigmoid() -> None:
    expected_N = np.linspace(-9, 9, 50)
    found_N = logits((1 / (1 + np.exp(-expected_N))).astype(np.float32))
    np.testing.assert_allclose(found_N, expected_N, atol=3e-4)  # a float32 next to 1 is that coarse


@pytest.mark.parametrize(("first", "second"), [((2,), (3,)), ((0,), (0,)), ((2, 1), (2, 1))])
def test_lists_that_cannot_be_compared_are_refused(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected \\[N\\] twice"):
        compare(np.zeros(first, np.float32), np.zeros(second, np.float32))
