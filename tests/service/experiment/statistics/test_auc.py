from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from service.experiment.statistics.auc import auc, gauc
from service.experiment.statistics.errors import StatisticsError

ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.2000001, 0.7, 1.0]), st.booleans(), st.integers(0, 5)),
    min_size=4,
    max_size=60,
)


def pairs_won(p: Any, y: Any) -> float:
    """Every pair of a clicked impression and another, one by one."""
    return float(np.mean([(a > b) + (a == b) / 2 for a in p[y] for b in p[~y]]))


@given(ROWS)
def test_auc_is_the_share_of_pairs_won_with_ties_half(rows: Any) -> None:
    p, y, unit = (np.array(column) for column in zip(*rows, strict=True))
    if 0 < y.sum() < y.size and np.unique(unit).size > 1:
        found = auc(p, y, unit)
        assert found.value == pytest.approx(pairs_won(p, y), abs=1e-12)
        mann_whitney = (
            stats.mannwhitneyu(p[y], p[~y]).statistic / (y.sum() * (~y).sum()) if np.unique(p).size > 1 else 0.5
        )
        assert found.value == pytest.approx(mann_whitney, abs=1e-12)
        assert auc(p**3, y, unit).value == pytest.approx(found.value, abs=1e-12)
        assert auc(1 - p, y, unit).value == pytest.approx(1 - found.value, abs=1e-12)
        assert 0 <= found.interval[0] <= found.value <= found.interval[1] <= 1


@given(ROWS)
def test_gauc_averages_the_units_that_have_both(rows: Any) -> None:
    p, y, unit = (np.array(column) for column in zip(*rows, strict=True))
    of = {u: unit == u for u in np.unique(unit) if 0 < y[unit == u].sum() < (unit == u).sum()}
    if len(of) > 1:
        expected = np.average([pairs_won(p[m], y[m]) for m in of.values()], weights=[m.sum() for m in of.values()])
        found = gauc(p, y, unit)
        assert found.value == pytest.approx(expected, abs=1e-12)
        assert found.units == len(of)


def test_one_impression_per_unit_has_delongs_variance() -> None:
    """Written out: the variances of the placements of either kind over their numbers."""
    generator = np.random.default_rng(0)
    y = generator.random(400) < 0.3
    p = np.round(generator.normal(0.5 + 0.1 * y, 0.15).clip(0, 1), 1)
    of_clicked = np.array([np.mean((a > p[~y]) + (a == p[~y]) / 2) for a in p[y]])
    of_others = np.array([np.mean((p[y] > b) + (p[y] == b) / 2) for b in p[~y]])
    delong = np.var(of_clicked, ddof=1) / of_clicked.size + np.var(of_others, ddof=1) / of_others.size
    found = auc(p, y, np.arange(400))
    half = stats.t.isf(0.025, 399) * delong**0.5
    assert found.interval[1] - found.value == pytest.approx(half, rel=0.01)


def draws(generator: np.random.Generator, units: int) -> tuple[Any, Any, Any]:
    """Units with a mood that the model half sees: their impressions are alike."""
    unit = np.repeat(np.arange(units), 20)
    mood = 2 * generator.normal(size=units)[unit]
    logit = -2 + mood + generator.normal(size=unit.size)
    return 1 / (1 + np.exp(-logit + mood / 2)), generator.random(unit.size) < 1 / (1 + np.exp(-logit)), unit


def test_the_interval_covers_the_truth_when_units_are_alike() -> None:
    """Independent impressions assumed, it would cover less."""
    generator = np.random.default_rng(1)
    truth = auc(*draws(generator, 100_000)).value
    found = [
        (auc(p, y, unit), auc(p, y, np.arange(unit.size)))
        for p, y, unit in (draws(generator, 150) for _ in range(1000))
    ]
    covered = np.mean([[low <= truth <= high for _, (low, high), _ in both] for both in found], axis=0)
    assert covered[0] == pytest.approx(0.95, abs=0.02)
    assert covered[1] < 0.92


def test_gauc_covers_the_truth() -> None:
    generator = np.random.default_rng(2)
    truth = gauc(*draws(generator, 50_000)).value
    found = [gauc(*draws(generator, 150)).interval for _ in range(600)]
    assert np.mean([low <= truth <= high for low, high in found]) == pytest.approx(0.95, abs=0.025)


def test_a_perfect_ranking_is_one() -> None:
    assert auc([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], [1, 2, 3, 4]).value == 1


@pytest.mark.parametrize(
    ("y", "unit", "said"),
    [([0, 0], [1, 2], "0 of 2 impressions clicked"), ([1, 1], [1, 2], "2 of 2"), ([1, 0], [7, 7], "got 1 units")],
)
def test_impressions_that_rank_nothing_are_refused(y: Any, unit: Any, said: str) -> None:
    with pytest.raises(StatisticsError, match=said):
        auc([0.5, 0.4], y, unit)
    with pytest.raises(StatisticsError, match="expected 2 or more"):
        gauc([0.5, 0.4], y, unit)
