"""Golden values: reference section 1.4 of the study this follows (SRM)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tea_tasting
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from service.experiment.statistics.breakdown import breakdown
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.srm import ALARM, chi_square, log_bayes_factor, sequential

HALVES = (5000, 5000)


def test_golden_chi_square() -> None:
    """Reference section 1.4: 50,500 against 49,500."""
    assert chi_square([50_500, 49_500], HALVES) == pytest.approx(0.001565402, abs=5e-10)


def test_golden_sequential() -> None:
    """Reference section 1.4: rows [500,500], [560,440], [600,400]."""
    p_T = sequential([[500, 500], [560, 440], [600, 400]], HALVES)
    assert p_T == pytest.approx([1.0, 0.60115946, 0.02219308], abs=5e-9)


@pytest.mark.parametrize("counts", [[50_500, 49_500], [10, 12], [4_000, 3_000]])
def test_chi_square_agrees_with_scipy_and_tea_tasting(counts: list[int], tea: Callable[..., Any]) -> None:
    assert chi_square(counts, HALVES) == pytest.approx(stats.chisquare(counts).pvalue, rel=1e-9)
    control, treatment = ({"x": np.zeros(count)} for count in counts)
    oracle = tea(tea_tasting.SampleRatio(method="norm", correction=False), treatment, control)
    assert chi_square(counts, HALVES) == pytest.approx(oracle.pvalue, rel=1e-9)


def test_chi_square_of_uneven_weights_and_three_arms_agrees_with_scipy() -> None:
    counts, shares = [120, 260, 640], np.array([1000, 2500, 6500])
    expected = shares / shares.sum() * sum(counts)
    assert chi_square(counts, shares) == pytest.approx(stats.chisquare(counts, expected).pvalue, rel=1e-9)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20))
def test_the_evidence_depends_on_the_units_not_on_the_rows_they_came_in(rows: list[tuple[int, int]]) -> None:
    merged = [np.sum(rows, axis=0)]
    assert log_bayes_factor(rows, HALVES)[-1] == pytest.approx(log_bayes_factor(merged, HALVES)[-1], abs=1e-6)
    p_T = sequential(rows, HALVES)
    assert (np.diff(p_T) <= 0).all()
    assert (p_T <= 1).all()


def test_the_evidence_is_the_formula_of_the_reference_row_by_row() -> None:
    rows, shares, concentration = [[30, 10], [12, 22]], np.array([0.3, 0.7]), 50.0
    prior, log_bf, written = concentration * shares, 0.0, []
    for row in rows:
        # ln B of a distribution's parameters, through scipy's Dirichlet density at the centre.
        log_bf += _log_beta(prior + row) - _log_beta(prior) - float(row @ np.log(shares))
        prior += row
        written.append(log_bf)
    assert log_bayes_factor(rows, shares, concentration=concentration) == pytest.approx(written, rel=1e-12)


def _log_beta(a: Any) -> float:
    centre = np.full(a.size, 1 / a.size)
    return float((a - 1) @ np.log(centre) - stats.dirichlet.logpdf(centre, a))


def test_periods_without_units_change_nothing() -> None:
    assert sequential([[0, 0], [600, 400], [0, 0]], HALVES) == pytest.approx(
        [1, *sequential([[600, 400]], HALVES), *sequential([[600, 400]], HALVES)]
    )


@pytest.mark.parametrize(
    ("counts", "shares", "said"),
    [
        ([0, 0], HALVES, "got 0 units"),
        ([1, -1], HALVES, "none below 0"),
        ([1, 2, 3], HALVES, "expected 2 arms"),
        ([1, 2], (1, 0), "each above 0"),
        ([1], (1,), "two or more"),
    ],
)
def test_impossible_counts_are_refused(counts: list[int], shares: Any, said: str) -> None:
    with pytest.raises(StatisticsError, match=said):
        chi_square(counts, shares)


def test_a_broken_worker_is_found_and_the_rest_acquitted() -> None:
    generator = np.random.default_rng(1)
    worker_U, client_U = generator.integers(0, 4, 40_000), generator.choice(["app", "web"], 40_000)
    arm_U = generator.integers(0, 2, 40_000)
    lost_U = (worker_U == 2) & (arm_U == 1) & (generator.random(40_000) < 0.2)
    kept = ~lost_U
    found = breakdown({"worker": worker_U[kept], "client": client_U[kept]}, arm_U[kept], HALVES)
    assert (found[0].dimension, found[0].level) == ("worker", "2")
    assert found[0].p_adjusted < ALARM
    assert found[0].p_adjusted == pytest.approx(len(found) * found[0].p, abs=0)
    assert found[0].p_rest > 0.01
    assert found[0].counts == (
        np.sum(kept & (worker_U == 2) & (arm_U == 0)),
        np.sum(kept & (worker_U == 2) & (arm_U == 1)),
    )
    assert all(other.p_rest < ALARM for other in found if other.dimension == "worker" and other.level != "2")


def test_levels_too_small_to_judge_are_left_out_and_a_single_level_has_no_rest() -> None:
    found = breakdown({"hour": [1] * 9 + [2] * 10, "all": ["x"] * 19}, [0, 1] * 9 + [0], HALVES)
    assert [(level.dimension, level.level, level.p_rest) for level in found if level.dimension == "all"] == [
        ("all", "x", 1.0)
    ]
    assert {level.level for level in found if level.dimension == "hour"} == {"2"}
    assert breakdown({}, [0, 1], HALVES) == []


def test_levels_that_do_not_meet_the_units_are_refused() -> None:
    with pytest.raises(StatisticsError, match="dimension 'hour' has 1 units, arm_U 2"):
        breakdown({"hour": [1]}, [0, 1], HALVES)
    with pytest.raises(StatisticsError, match="arm_U holds 0 to 2"):
        breakdown({}, [0, 2], HALVES)
