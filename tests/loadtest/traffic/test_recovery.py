"""Many runs without a service: what an experiment may expect of this traffic, and why it needs units."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest.traffic.clicks import ClickModel
from loadtest.traffic.draws import Stream, uniforms
from loadtest.traffic.users import Population
from service.experiment.statistics.ratio import Effect, RatioSums, lift

RUNS, USERS, REQUESTS, SHOWN = 200, 2000, 4000, 10
TRUE_LIFT = 0.3


def experiment(seed: int) -> tuple[Effect, float]:
    """The lift found in one run, every unit in an arm by chance, and the standard error if impressions were alone."""
    model, population = ClickModel(seed=seed), Population(USERS, days=7, seed=seed)
    user_R = np.array([visit.user for visit in population.visits(REQUESTS)])
    items_RK = np.random.default_rng(seed).integers(0, 3000, (REQUESTS, SHOWN))
    treated_U = uniforms(Stream.ARRIVAL, seed + 10_000, np.arange(USERS)) < 0.5
    attraction_RK = model.attraction(user_R[:, None], items_RK)  # type: ignore[arg-type] # whole runs at once
    true_RK = model.examination(SHOWN) * attraction_RK * (1 + TRUE_LIFT * treated_U[user_R])[:, None]
    clicked_RK = model.clicked(user_R[:, None], np.arange(REQUESTS)[:, None], items_RK, true_RK)  # type: ignore[arg-type]
    clicks_U = np.bincount(user_R, clicked_RK.sum(1), USERS)
    shown_U = np.bincount(user_R, minlength=USERS) * float(SHOWN)
    treatment, control = ((treated_U == arm) & (shown_U > 0) for arm in (True, False))
    found = lift(*(RatioSums.of(clicks_U[arm], shown_U[arm]) for arm in (treatment, control)))
    clicks = np.array([clicks_U[treatment].sum(), clicks_U[control].sum()])
    return found, float((1 + TRUE_LIFT) * np.sqrt((1 / clicks).sum()))


@pytest.fixture(scope="module")
def runs() -> list[tuple[Effect, float]]:
    return [experiment(seed) for seed in range(RUNS)]


def test_the_interval_clustered_by_unit_contains_the_truth_nineteen_times_in_twenty(
    runs: list[tuple[Effect, float]],
) -> None:
    held = sum(effect.interval[0] <= TRUE_LIFT <= effect.interval[1] for effect, _ in runs)
    # 190 are expected with a standard deviation of 3.1.
    assert 180 <= held <= 199


def test_the_standard_error_is_the_spread_of_the_estimates(runs: list[tuple[Effect, float]]) -> None:
    estimates = np.array([effect.estimate for effect, _ in runs])
    assert np.mean([effect.se for effect, _ in runs]) == pytest.approx(estimates.std(), rel=0.15)
    assert estimates.mean() == pytest.approx(TRUE_LIFT, abs=0.03)


def test_an_interval_that_takes_impressions_for_independent_misses_the_truth_often(
    runs: list[tuple[Effect, float]],
) -> None:
    held = sum(abs(effect.estimate - TRUE_LIFT) < 1.96 * naive for effect, naive in runs)
    assert held < 0.8 * RUNS
