from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from loadtest.proof.scenario import Found, Scenario
from loadtest.proof.truth import coverage, judged, scenarios
from loadtest.traffic.client import Prediction, Said
from loadtest.traffic.referee import Referee
from loadtest.traffic.run import Run
from loadtest.traffic.simulate import Outcome
from loadtest.traffic.truth import Truth
from service.experiment.document import read_toml

GAIN = Scenario(name="gain", lift=0.2, verdicts=frozenset({"ship"}))


def make_run() -> Run:
    """Two units, one request each, a lift of 20 %."""
    truth, referee = Truth(), Referee(None)
    for unit, arm in (("u1", "control"), ("u2", "treatment")):
        referee.judge(unit, {}, Prediction(arm, "m@1", False, [0.5], None))
        truth.shown(arm, unit, np.array([0.2, 0.1]), np.array([True, False]))
    truth.caused("control", np.array([0.1]))
    truth.caused("treatment", np.array([0.12]))
    outcome = Outcome(truth=truth, referee=referee, sent=Counter(events=6), tokens=False, seconds=1.0, lost=0)
    return Run(outcome=outcome, said=Said(feedback=Counter(accepted=6)))


def row(arm: str, **other: int) -> dict[str, Any]:
    return {"arm": arm, "requests": 1, "units": 1, "impressions": 2, "clicks": 1, **other}


def make_found(
    *,
    fixed: tuple[float | None, float | None] = (0.1, 0.3),
    looks: tuple[tuple[float, float], ...] = ((-0.5, 0.9), (0.0, 0.4)),
    verdict: str = "ship",
    treatment: dict[str, Any] | None = None,
    provenance: dict[str, int] | None = None,
    propensities: frozenset[float] = frozenset({0.5}),
    seconds: float = 20.0,
) -> Found:
    effect = {"estimate": 0.21, "fixed": list(fixed), "anytime": list(looks[-1])}
    over_time = [{"anytime": None}, *({"anytime": look} for look in looks)]
    report = {
        "verdict": {"verdict": verdict},
        "arms": [row("control"), treatment or row("treatment")],
        "comparisons": [{"primary": effect, "missing": None, "over_time": over_time}],
        "provenance": {"multi_arm_units": 0, "losses": 0} | (provenance or {}),
    }
    return Found(scenario=GAIN, seed=1, ran=make_run(), report=report, propensities=propensities, seconds=seconds)


def missed(found: Found) -> list[str]:
    return [check.what for check in judged(found) if not check.met]


def test_a_truth_recovered_with_everything_counted_meets_every_target() -> None:
    assert make_found().truth == pytest.approx(0.2)
    assert missed(make_found()) == []
    assert missed(make_found(fixed=(None, None))) == [], "an open end contains everything"


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"fixed": (0.21, 0.3)}, "gain: truth in the fixed interval"),
        ({"fixed": (0.1, 0.19)}, "gain: truth in the fixed interval"),
        ({"looks": ((0.21, 0.3),)}, "gain: truth in the anytime interval"),
        ({"verdict": "keep"}, "gain: verdict"),
        ({"treatment": row("treatment", requests=2)}, "gain: exposures, units, impressions, clicks by arm"),
        ({"treatment": row("treatment", clicks=0)}, "gain: exposures, units, impressions, clicks by arm"),
        ({"provenance": {"multi_arm_units": 1}}, "gain: exposures, units, impressions, clicks by arm"),
        ({"provenance": {"losses": 1}}, "gain: exposures, units, impressions, clicks by arm"),
        ({"propensities": frozenset({0.5, 1.0})}, "gain: exposures, units, impressions, clicks by arm"),
        ({"seconds": 301.0}, "gain: cold start to verdict"),
    ],
)
def test_whatever_is_wrong_misses_its_own_target_and_no_other(changed: dict[str, Any], what: str) -> None:
    assert missed(make_found(**changed)) == [what]


def test_feedback_that_was_not_taken_misses_the_target_of_the_counts() -> None:
    found = make_found()
    found.ran.said.feedback["accepted"] = 5
    assert missed(found) == ["gain: exposures, units, impressions, clicks by arm"]


def test_coverage_counts_intervals_and_tolerates_bad_luck_but_no_more() -> None:
    good, wide_once = make_found(), make_found(fixed=(0.25, 0.3), looks=((0.3, 0.4), (0.0, 0.4)))
    found = {check.what.rpartition("the ")[2]: check for check in coverage([good] * 16 + [wide_once] * 4)}
    assert {what: (check.found, check.met) for what, check in found.items()} == {
        "fixed interval": ("16", True),
        "anytime interval": ("20", True),
        "anytime interval at every look": ("16", True),
    }
    assert not next(iter(coverage([good] * 15 + [wide_once] * 5))).met


def test_every_verdict_has_its_scenario_and_every_document_is_valid() -> None:
    planned = list(scenarios(0.3, teacher=True))
    assert [scenario.lift for scenario in planned] == [0.3, -0.3, 0, 0, 0]
    assert [scenario.mode for scenario in planned] == ["ab", "ab", "ab", "aa", "ab"]
    for scenario in planned:
        (experiment,) = read_toml(scenario.document(4000)).experiments
        assert [arm.answered_by for arm in experiment.arms] == list(scenario.models)
        assert experiment.analysis.planned_units == 4000
    assert len(list(scenarios(0.3, teacher=False))) == 4
