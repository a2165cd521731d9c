"""Golden values: reference section 1.4 of the study this follows (ECE of a perfectly calibrated model at 3 % CTR)."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiment.statistics.calibration_error import calibration_error


def perfect(generator: np.random.Generator, impressions: int) -> tuple[Any, Any]:
    """CTR 3 %, as spread as a good model's."""
    p_I = generator.beta(1.5, 48.5, impressions)
    return p_I, generator.random(impressions) < p_I


@pytest.mark.parametrize(
    ("impressions", "mean", "p95", "draws"),
    [(1_000, 0.0155, 0.0207, 1000), (10_000, 0.0049, 0.0066, 300), (100_000, 0.0015, 0.0022, 100)],
)
def test_golden_ece_of_a_perfectly_calibrated_arm(impressions: int, mean: float, p95: float, draws: int) -> None:
    """Reference section 1.4; the study's spread of probabilities is not stated, hence within 5 and 8 percent."""
    generator = np.random.default_rng(0)
    found = [calibration_error(*perfect(generator, impressions), draws=100, seed=seed) for seed in range(draws)]
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(mean, rel=0.05)
    assert np.quantile(values, 0.95) == pytest.approx(p95, rel=0.08)
    assert np.mean([one.null_mean for one in found]) == pytest.approx(values.mean(), rel=0.03)
    assert np.mean([one.null_p95 for one in found]) == pytest.approx(np.quantile(values, 0.95), rel=0.06)


@pytest.mark.parametrize("impressions", [1_000, 10_000])
def test_perfectly_calibrated_arms_are_called_as_often_as_p_says(impressions: int) -> None:
    generator = np.random.default_rng(1)
    p = np.array([calibration_error(*perfect(generator, impressions), draws=199, seed=seed).p for seed in range(300)])
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.08)


def test_a_miscalibrated_arm_is_called() -> None:
    p_I, clicked_I = perfect(np.random.default_rng(2), 50_000)
    found = calibration_error(np.sqrt(p_I * 0.03), clicked_I)
    assert found.value > 2 * found.null_p95
    assert found.p == 1 / 1001


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.1000001, 0.5, 1.0]), st.booleans()), min_size=1, max_size=80),
    st.randoms(),
)
def test_ece_does_not_depend_on_the_order_and_bins_hold_every_impression(rows: Any, random: Any) -> None:
    found = calibration_error(*zip(*rows, strict=True), draws=10)
    random.shuffle(rows)
    assert calibration_error(*zip(*rows, strict=True), draws=10).value == pytest.approx(found.value, abs=1e-12)
    assert found.impressions_B.sum() == len(rows)
    gaps = found.impressions_B * np.abs(found.predicted_B - found.observed_B)
    assert found.value == pytest.approx(gaps.sum() / len(rows))
    assert 0 <= found.value <= 1


def test_different_probabilities_fill_15_bins_of_equal_mass() -> None:
    p_I, clicked_I = perfect(np.random.default_rng(3), 1_000)
    found = calibration_error(p_I, clicked_I)
    assert sorted(set(found.impressions_B.tolist())) == [66, 67]
    assert len(found.impressions_B) == 15
    assert (np.diff(found.predicted_B) > 0).all()


def test_the_band_is_the_same_each_time() -> None:
    data = perfect(np.random.default_rng(4), 1_000)
    assert calibration_error(*data).null_p95 == calibration_error(*data).null_p95
