from math import inf, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.quality import calibration, log_loss, losses, normalized_entropy

IMPRESSIONS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60)


def test_log_loss_is_the_mean_surprise() -> None:
    expected = -(log(0.9) + log(1 - 0.2) + log(0.3)) / 3
    assert log_loss([0.9, 0.2, 0.3], [1, 0, 1]) == pytest.approx(expected, rel=1e-12)
    assert losses([0.9, 0.2], [True, False]) == pytest.approx([-log(0.9), -log(0.8)])


def test_always_saying_the_ctr_has_a_normalized_entropy_of_one() -> None:
    clicked_I = np.arange(1000) < 37
    assert normalized_entropy(np.full(1000, 0.037), clicked_I) == pytest.approx(1, rel=1e-12)
    assert normalized_entropy(np.where(clicked_I, 0.5, 0.02), clicked_I) < 1


def test_a_certain_error_costs_much_and_not_infinity() -> None:
    assert log_loss([0.0, 1.0], [1, 0]) == pytest.approx(-log(1e-7), rel=1e-6)


@given(IMPRESSIONS)
def test_the_best_constant_is_the_ctr(rows: list[tuple[float, bool]]) -> None:
    _, clicked = zip(*rows, strict=True)
    ctr = np.mean(clicked)
    best = log_loss([ctr] * len(rows), clicked)
    assert all(log_loss([other] * len(rows), clicked) >= best - 1e-12 for other in (0.01, 0.3, 0.5, 0.99))


def test_promising_too_much_is_a_calibration_above_one() -> None:
    """The direction He et al. define: expected over observed."""
    found = calibration([0.4, 0.4, 0.1, 0.1], [1, 0, 0, 0], [1, 2, 3, 4])
    assert found.ratio == pytest.approx(1.0)
    assert calibration([0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0], [1, 2, 3, 4]).ratio == pytest.approx(2.0)
    assert (found.clicks, found.expected) == (1, pytest.approx(1.0))


def draws(generator: np.random.Generator, impressions: int, *, alike: bool) -> tuple[Any, Any, Any]:
    """Perfect probabilities; `alike` units also share a mood that no feature shows."""
    unit_I = np.arange(impressions) // 10
    p_I = generator.beta(1, 19, impressions)
    mood_U = generator.gamma(2, 0.5, unit_I[-1] + 1) if alike else np.ones(unit_I[-1] + 1)
    return p_I, generator.random(impressions) < p_I * mood_U[unit_I], unit_I


def test_the_null_band_holds_95_of_100_perfectly_calibrated_arms() -> None:
    generator = np.random.default_rng(0)
    found = [calibration(*draws(generator, 5000, alike=False)) for _ in range(1000)]
    assert np.mean([one.within_null for one in found]) == pytest.approx(0.95, abs=0.025)


def test_the_interval_holds_the_truth_when_units_are_alike() -> None:
    generator = np.random.default_rng(1)
    found = [calibration(*draws(generator, 5000, alike=True)) for _ in range(1000)]
    covered = np.mean([one.interval[0] <= 1 <= one.interval[1] for one in found])
    assert covered == pytest.approx(0.95, abs=0.025)
    assert np.mean([one.within_null for one in found]) < covered - 0.02


def test_a_rare_clicks_interval_is_near_the_rough_one() -> None:
    """Reference section 1.4: ratio·(1 ± 1.96/√clicks), roughly."""
    found = calibration(*draws(np.random.default_rng(2), 200_000, alike=False))
    rough = found.ratio * 1.96 / found.clicks**0.5
    assert found.interval[1] - found.ratio == pytest.approx(rough, rel=0.1)


def test_so_few_expected_clicks_that_none_would_be_no_surprise_have_no_upper_end() -> None:
    assert calibration([0.1] * 10, [1] + [0] * 9, range(10)).null_band[1] == inf


@pytest.mark.parametrize(
    ("p", "y", "said"),
    [
        ([], [], "got 0 impressions"),
        ([0.5], [1, 0], "lengths differ"),
        ([0.5, float("nan")], [1, 0], "1 of 2 are not finite"),
        ([0.5, 1.5], [1, 0], "expected 0 to 1"),
        ([0.5, 0.5], [1, 2], "expected 0 and 1 alone"),
    ],
)
def test_impressions_that_cannot_be_judged_are_refused(p: Any, y: Any, said: str) -> None:
    with pytest.raises(StatisticsError, match=said):
        log_loss(p, y)


def test_without_clicks_there_is_no_calibration_and_no_entropy() -> None:
    with pytest.raises(StatisticsError, match="none of 2 impressions was clicked"):
        calibration([0.5, 0.5], [0, 0], [1, 2])
    with pytest.raises(StatisticsError, match="2 of 2 clicked"):
        normalized_entropy([0.5, 0.5], [1, 1])
