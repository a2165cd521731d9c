from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.quantiles import compare_quantiles, quantile


def requests(generator: np.random.Generator, units: int, scale: float = 1.0) -> tuple[Any, Any]:
    """Latencies of units that differ: slow units are slow in all their requests."""
    unit_E = np.repeat(np.arange(units), 1 + generator.poisson(9, units))
    slow_U = generator.lognormal(0, 0.4, units)
    return scale * slow_U[unit_E] * generator.lognormal(3, 0.5, unit_E.size), unit_E


def test_the_quantile_is_that_of_the_requests() -> None:
    values_E, unit_E = requests(np.random.default_rng(0), 2000)
    for level in (0.5, 0.95, 0.99):
        found = quantile(values_E, unit_E, level)
        assert found.value == pytest.approx(np.quantile(values_E, level, method="higher"), rel=1e-3)
        assert found.low < found.value < found.high
        assert (found.units, found.requests) == (2000, values_E.size)


def test_units_of_one_request_give_the_binomial_interval() -> None:
    """Scipy's exact interval of a quantile: the same ranks, give or take a few."""
    values_E = np.random.default_rng(1).lognormal(3, 0.5, 20_000)
    found = quantile(values_E, np.arange(values_E.size), 0.99)
    exact = stats.quantile_test(values_E, p=0.99).confidence_interval(0.95)
    ranks = np.searchsorted(np.sort(values_E), [found.low, found.high, exact.low, exact.high])
    assert ranks[:2] == pytest.approx(ranks[2:], abs=3)


def test_requests_that_come_as_copies_are_worth_one() -> None:
    values_E = np.random.default_rng(1).lognormal(3, 0.5, 5_000)
    once = quantile(values_E, np.arange(5000), 0.9)
    copies = quantile(np.repeat(values_E, 9), np.repeat(np.arange(5000), 9), 0.9)
    assert (copies.value, copies.low, copies.high) == pytest.approx((once.value, once.low, once.high), rel=2e-3)


def test_a_tail_has_as_many_degrees_of_freedom_as_units_make_it() -> None:
    """Of n units with one request each, 2·n·p(1 - p) / (1 - 2p)²: ten requests beyond the 99th percentile are few."""
    values_E = np.random.default_rng(1).lognormal(3, 0.5, 1000)
    assert quantile(values_E, np.arange(1000), 0.99).dof == pytest.approx(2000 * 0.0099 / 0.98**2, rel=0.05)
    assert quantile(values_E, np.arange(1000), 0.5).dof == 999


def test_the_interval_of_the_ratio_covers_the_truth_as_often_as_it_says() -> None:
    """1,000 draws of two arms of 400 units; taking requests for independent it is under 92 %."""
    generator = np.random.default_rng(2)
    hits = {"clustered": 0, "independent": 0}
    for _ in range(1000):
        t, c = requests(generator, 400, 1.1), requests(generator, 400)
        low, high = compare_quantiles(t, c, 0.95).interval
        hits["clustered"] += low <= 0.1 <= high
        low, high = compare_quantiles((t[0], np.arange(t[0].size)), (c[0], np.arange(c[0].size)), 0.95).interval
        hits["independent"] += low <= 0.1 <= high
    assert 0.935 <= hits["clustered"] / 1000 <= 0.975
    assert hits["independent"] / 1000 < 0.92


def test_a_change_is_found_in_the_right_direction() -> None:
    generator = np.random.default_rng(3)
    slower = compare_quantiles(requests(generator, 3000, 1.5), requests(generator, 3000), 0.99)
    assert slower.estimate == pytest.approx(0.5, abs=0.1)
    assert slower.p_greater < 1e-6
    assert slower.p_less > 0.5
    assert slower.interval[0] > 0
    faster = compare_quantiles(requests(generator, 3000), requests(generator, 3000, 1.5), 0.99)
    assert -1 < faster.interval[1] < 0


def test_a_tail_that_was_not_seen_has_no_upper_end() -> None:
    generator = np.random.default_rng(4)
    t, c = (requests(generator, 20) for _ in range(2))
    assert quantile(*t, 0.99).high == inf
    unbounded = compare_quantiles(t, c, 0.99)
    assert unbounded.interval == (-1, inf)
    assert unbounded.p == 1


@given(
    hnp.arrays(np.float64, 60, elements=st.floats(0.1, 100)),
    st.floats(0.05, 0.95),
    st.floats(0.01, 100),
    st.permutations(range(60)),
)
def test_quantiles_follow_the_unit_of_measure_and_not_the_order(
    values_E: Any, level: float, times: float, order: list[int]
) -> None:
    unit_E = np.arange(60) // 3
    plain, scaled = quantile(values_E, unit_E, level), quantile(values_E * times, unit_E, level)
    assert [end / times for end in scaled[:3]] == pytest.approx(plain[:3])
    assert quantile(values_E[order], unit_E[order], level)[:3] == pytest.approx(plain[:3])
    assert plain.low <= plain.value <= plain.high


def test_requests_all_alike_have_a_quantile_and_no_comparison() -> None:
    same = np.ones(100), np.arange(100)
    assert quantile(*same, 0.99)[:3] == (1, 1, 1)
    with pytest.raises(StatisticsError, match="no request differs"):
        compare_quantiles(same, same, 0.99)


@pytest.mark.parametrize(
    ("values", "units", "said"),
    [
        ([], [], "the arm has 0 units"),
        ([1.0, 2.0], [7, 7], "the arm has 1 units"),
        ([1.0, 0.0], [1, 2], "1 of 2 values are not above 0"),
        ([1.0, float("nan")], [1, 2], "1 of 2 are not finite"),
        ([1.0], [1, 2], "lengths differ"),
    ],
)
def test_requests_that_cannot_answer_are_refused(values: Any, units: Any, said: str) -> None:
    with pytest.raises(StatisticsError, match=said):
        quantile(values, units, 0.99)
