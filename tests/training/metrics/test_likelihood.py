import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss

from training.metrics import log_loss, normalized_entropy, sigmoid

ROWS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40)


@given(ROWS)
def test_log_loss_is_the_mean_negative_log_likelihood(rows: list[tuple[int, bool]]) -> None:
    logits, clicks = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)
    probability = 1 / (1 + np.exp(-logits))
    likelihood = np.where(clicks == 1, probability, 1 - probability)
    assert log_loss(logits, clicks) == pytest.approx(-np.log(likelihood).mean(), rel=1e-12)


def test_log_loss_of_extreme_logits_is_finite_and_exact() -> None:
    assert log_loss(np.array([1000.0, -1000.0]), np.array([1.0, 0.0])) == 0.0
    assert log_loss(np.array([1000.0]), np.array([0.0])) == 1000.0


def test_sigmoid_does_not_overflow() -> None:
    np.testing.assert_array_equal(sigmoid(np.array([-1e9, 0.0, 1e9])), [0.0, 0.5, 1.0])


@given(ROWS)
def test_normalized_entropy_is_one_for_the_base_rate_and_divides_by_its_log_loss(rows: list[tuple[int, bool]]) -> None:
    logits, clicks = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)
    if clicks.min() == clicks.max():
        with pytest.raises(ValueError, match=f"got {int(clicks.sum())} of {len(rows)}"):
            normalized_entropy(logits, clicks)
        return
    rate = np.full(len(rows), clicks.mean())
    expected = sklearn_log_loss(clicks, sigmoid(logits)) / sklearn_log_loss(clicks, rate)
    assert normalized_entropy(logits, clicks) == pytest.approx(expected, rel=1e-9)
    assert normalized_entropy(np.log(rate / (1 - rate)), clicks) == pytest.approx(1.0)
