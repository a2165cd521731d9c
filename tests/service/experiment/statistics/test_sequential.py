"""Golden values: reference section 1.4 of the study this follows (anytime-valid interval)."""

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiment.statistics import sequential
from service.experiment.statistics.effect import Estimate, difference
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.sequential import (
    anytime_cost,
    anytime_interval,
    anytime_p,
    e_value,
    half_width,
    log_e_value,
    running_p,
)

RHO = sequential.rho(0.05, 5000)


def test_golden_rho_half_width_and_e_value() -> None:
    """Reference section 1.4: α = .05, N* = 5000; N = 10000, se = 0.01; Z = 3."""
    assert pytest.approx(0.03984006677, abs=5e-12) == RHO
    assert half_width(0.01, 10_000, RHO, 0.05) == pytest.approx(0.03061477219, abs=5e-12)
    assert e_value(3, 10_000, RHO) == pytest.approx(16.78446776, abs=5e-9)


def test_golden_cost_over_the_fixed_interval() -> None:
    """Reference section 1.4: 1.549 at N*, 1.67 at N*/4, 1.60 at 4N*; 2.40 times the units."""
    assert anytime_cost(0.05) == pytest.approx(1.549, abs=5e-4)
    assert anytime_cost(0.05) ** 2 == pytest.approx(2.40, abs=5e-3)
    assert anytime_cost(0.05, 0.25) == pytest.approx(1.67, abs=5e-3)
    assert anytime_cost(0.05, 4) == pytest.approx(1.60, abs=5e-3)


@given(st.floats(0.001, 0.2), st.integers(100, 10**7), st.floats(0.01, 100))
def test_the_cost_is_the_width_over_the_fixed_width(alpha: float, planned: int, progress: float) -> None:
    half = half_width(1, progress * planned, sequential.rho(alpha, planned), alpha)
    fixed = difference(Estimate(0, 0.5, 10**9), Estimate(0, 0.5, 10**9), alpha=alpha).interval[1]
    assert anytime_cost(alpha, progress) == pytest.approx(half / fixed, rel=1e-6)


@pytest.mark.parametrize("n", [10, 1_000, 123_456])
@pytest.mark.parametrize("variance", [0.01, 2.5])
def test_msprt_is_the_same_test(n: int, variance: float) -> None:
    """Johari et al.: Λ = √(V/(V + nτ²))·exp(n²τ²Δ²/(2V(V + nτ²))) with ρ² = τ²/V; reference section 1.4."""
    tau2, gap = RHO**2 * variance, 2.7 * sqrt(variance / n)
    likelihood_ratio = sqrt(variance / (variance + n * tau2)) * exp(
        n**2 * tau2 * gap**2 / (2 * variance * (variance + n * tau2))
    )
    assert e_value(gap / sqrt(variance / n), n, RHO) == pytest.approx(likelihood_ratio, rel=1e-14)


@pytest.mark.parametrize("n", [10, 1_000, 123_456])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_gavi_is_the_same_interval(n: int, alpha: float) -> None:
    """(1/N)·√((V + r)·ln((V + r)/(r·α²))), V = σ²N, r = σ²/ρ²: a product r·α², which is often misprinted as a sum;
    reference section 1.4.
    """
    se, rho = 0.01, sequential.rho(alpha, 5000)
    sigma2 = se**2 * n
    v, r = sigma2 * n, sigma2 / rho**2
    gavi = sqrt((v + r) * log((v + r) / (r * alpha**2))) / n
    assert half_width(se, n, rho, alpha) == pytest.approx(gavi, rel=1e-14)


@given(st.floats(-50, 50), st.integers(2, 10**7), st.floats(0.001, 0.2))
def test_the_interval_leaves_out_zero_exactly_when_e_reaches_one_over_alpha(z: float, n: int, alpha: float) -> None:
    out = abs(z) - half_width(1, n, RHO, alpha)
    beyond = log_e_value(z, n, RHO) + log(alpha)
    assert abs(out) < 1e-9 or (out > 0) == (beyond > 0)


def test_p_never_rises_again_and_never_exceeds_one() -> None:
    log_e_T = np.log([0.5, 4.0, 2.0, 100.0, 1.0])
    assert running_p(log_e_T) == pytest.approx([1, 0.25, 0.25, 0.01, 0.01])


def test_overwhelming_evidence_is_a_number_without_a_warning() -> None:
    assert e_value(100, 10**6, RHO) == np.inf
    assert running_p(log_e_value([100.0], 10**6, RHO)) == [0.0]
    assert log_e_value(100, 10**6, RHO) == pytest.approx(4993, abs=1)


def test_looks_are_computed_at_once_as_one_by_one() -> None:
    n_T, se_T = np.array([100, 1000, 5000]), np.array([0.1, 0.03, 0.014])
    alone = [float(half_width(se, n, RHO, 0.05)) for se, n in zip(se_T, n_T, strict=True)]
    assert half_width(se_T, n_T, RHO, 0.05) == pytest.approx(alone, rel=1e-15)


def test_an_effect_brings_its_own_alpha_and_units() -> None:
    effect = difference(Estimate(0.06, 1e-6, 3000), Estimate(0.05, 1e-6, 2000))
    half = half_width(effect.se, 5000, RHO, 0.05)
    assert anytime_interval(effect, planned=5000) == pytest.approx((0.01 - half, 0.01 + half))
    assert anytime_p(effect, planned=5000) == pytest.approx(1 / e_value(0.01 / effect.se, 5000, RHO))


def test_a_plan_of_no_units_is_refused() -> None:
    with pytest.raises(StatisticsError, match="planned units: got 0"):
        sequential.rho(0.05, 0)
    with pytest.raises(StatisticsError, match="alpha is 0"):
        sequential.rho(0, 100)
