import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.metrics import auc, calibration, log_loss, sigmoid

ROWS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40)


@given(ROWS)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    logits, clicks = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)
    pairs = [(high > low) + (high == low) / 2 for high in logits[clicks == 1] for low in logits[clicks == 0]]
    if not pairs:
        with pytest.raises(ValueError, match="clicked"):
            auc(logits, clicks)
    else:
        assert auc(logits, clicks) == pytest.approx(np.mean(pairs), abs=1e-12)


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


def test_calibration_is_expected_over_observed_clicks() -> None:
    assert calibration(np.zeros(4), np.array([1, 0, 0, 0])) == pytest.approx(2.0)


def test_calibration_without_a_click_is_refused() -> None:
    with pytest.raises(ValueError, match="0 of 3 rows"):
        calibration(np.zeros(3), np.zeros(3))
