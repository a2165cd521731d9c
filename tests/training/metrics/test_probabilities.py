from math import inf

import numpy as np
import pytest
from scipy.stats import poisson_binom
from sklearn.calibration import calibration_curve

from training.metrics import calibration, calibration_band, click_band, reliability, sigmoid


def test_calibration_is_expected_over_observed_clicks() -> None:
    assert calibration(np.zeros(4), np.array([1, 0, 0, 0])) == pytest.approx(2.0)


def test_calibration_without_a_click_is_refused() -> None:
    with pytest.raises(ValueError, match="0 of 3 rows"):
        calibration(np.zeros(3), np.zeros(3))


def exact_band(p: np.ndarray) -> tuple[float, float]:
    """Both ends from scipy's distribution of the sum."""
    below = np.ravel(poisson_binom.cdf(np.arange(p.size + 1), p))
    return float(np.searchsorted(below, 0.025)), float(np.searchsorted(below, 0.975))


@pytest.mark.parametrize("seed", range(12))
def test_the_band_of_a_small_slice_is_that_of_the_poisson_binomial_distribution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, rng.uniform(0.5, 20.0), rng.integers(1, 120))
    assert p @ (1 - p) < 25, "the test is about the exact band"
    assert click_band(p) == exact_band(p)


def test_the_band_of_a_slice_that_is_nearly_always_clicked_is_exact_too() -> None:
    p = np.random.default_rng(0).beta(20.0, 1.0, 300)
    assert click_band(p) == exact_band(p)


def test_a_slice_of_even_chances_has_the_band_of_the_binomial_distribution() -> None:
    """A probability of one half is where the characteristic function is zero."""
    assert click_band(np.full(10, 0.5)) == (2.0, 8.0)
    assert click_band(np.array([0.5])) == (0.0, 1.0)
    assert click_band(np.array([1.0, 1.0, 0.0])) == (2.0, 2.0)


def test_the_band_of_a_large_slice_is_nearly_always_the_exact_one_and_never_over_a_click_off() -> None:
    """Without the term for skewness one end in six is a click off."""
    off = []
    for seed in range(32):
        rng = np.random.default_rng(seed)
        p = rng.beta(0.5, (2.0, 12.0, 30.0, 0.1)[seed % 4], 150)
        p = np.tile(p, int(np.ceil(26 / (p @ (1 - p)))))
        assert p @ (1 - p) > 25, "the test is about the band that is not exact"
        off += list(np.subtract(click_band(p), exact_band(p)))
    assert np.abs(off).max() <= 1
    assert np.count_nonzero(off) <= 3


@pytest.mark.parametrize(("rows", "rate"), [(20, 0.1), (400, 0.02), (400, 0.3), (3_000, 0.01), (3_000, 0.2)])
def test_a_calibrated_model_lies_in_its_band_about_95_times_in_100(rows: int, rate: float) -> None:
    """Clicks are whole, so a band that holds at least 95 % of the draws may hold more; a click narrower, it may not."""
    rng = np.random.default_rng(rows)
    p = rng.beta(2, 2 / rate - 2, rows)
    fewest, most = click_band(p)
    clicks = np.concatenate([(rng.random((1_000, rows)) < p).sum(axis=1) for _ in range(8)])
    noise = 4 * np.sqrt(0.025 / clicks.size)
    assert np.mean(clicks < fewest) < 0.025 + noise
    assert np.mean(clicks > most) < 0.025 + noise
    assert np.mean(clicks <= fewest) > 0.025 - noise
    assert np.mean(clicks >= most) > 0.025 - noise


def test_a_ratio_is_chance_inside_its_band_and_not_outside() -> None:
    logits = np.zeros(100)  # fifty clicks are promised: forty to sixty are chance
    told = {clicks: calibration_band(logits, np.arange(100) < clicks) for clicks in (39, 40, 60, 61)}
    assert [told[clicks].by_chance for clicks in (39, 40, 60, 61)] == [False, True, True, False]
    assert told[40].ratio == pytest.approx(50 / 40)
    assert told[40].band == pytest.approx((50 / 60, 50 / 40))


def test_a_slice_without_clicks_has_no_finite_ratio_and_may_still_be_chance() -> None:
    few = calibration_band(np.full(3, -2.0), np.zeros(3))
    assert (few.ratio, few.band[1], few.by_chance) == (inf, inf, True)
    assert not calibration_band(np.full(3, 9.0), np.zeros(3)).by_chance
    assert calibration_band(np.full(3, -90.0), np.zeros(3)).band == (0.0, inf)


def test_reliability_bins_are_those_of_equal_mass() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(-1, 1, 2_000)
    clicks = (rng.random(2_000) < sigmoid(logits + 0.4)).astype(float)
    found = reliability(logits, clicks, bins=10)
    observed, predicted = calibration_curve(clicks, sigmoid(logits), n_bins=10, strategy="quantile")
    np.testing.assert_allclose(found.predicted_B, predicted, atol=2e-3)
    np.testing.assert_allclose(found.observed_B, observed, atol=6e-3)
    slow = np.sum(found.rows_B * np.abs(found.predicted_B - found.observed_B)) / 2_000
    assert found.error == pytest.approx(slow)
    assert found.error > 2 * found.error_by_chance, "these logits are 0.4 too low"
    assert (found.observed_B > found.band_B2[:, 1]).sum() >= 5


def test_the_calibration_error_of_a_perfect_model_is_what_chance_gives() -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(-1, 1, 3_000)
    found = [reliability(logits, rng.random(3_000) < sigmoid(logits)) for _ in range(100)]
    assert np.mean([one.error for one in found]) == pytest.approx(found[0].error_by_chance, rel=0.05)
    inside = [(one.band_B2[:, 0] <= one.observed_B) & (one.observed_B <= one.band_B2[:, 1]) for one in found]
    assert 0.95 < np.mean(inside) < 0.985


def test_rows_of_one_probability_share_a_bin() -> None:
    found = reliability(np.repeat([-1.0, 0.0], [30, 10]), np.arange(40) % 2)
    assert found.rows_B.tolist() == [30, 10]
