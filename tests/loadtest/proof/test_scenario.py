"""From a cold start to a verdict, with a lift so large that a few hundred units show it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loadtest.proof.scenario import Scenario, Stage, play
from loadtest.proof.truth import NOT_CALLED, judged

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found through /proc")


@pytest.mark.long
@pytest.mark.parametrize(
    "scenario",
    [
        # On a busy machine the guardrail of latency may stay open, whatever the clicks say.
        Scenario(name="doubled", lift=1.0, verdicts=frozenset({"ship", "inconclusive"})),
        Scenario(name="A/A", mode="aa", verdicts=NOT_CALLED),
    ],
    ids=lambda scenario: scenario.name,
)
def test_the_service_s_own_report_recovers_what_traffic_was_made_with(scenario: Scenario, bundles: Path) -> None:
    stage = Stage(student=bundles / "student", teacher=None, users=800, requests=1500)
    found = play(scenario, stage, seed=1)
    assert found.truth == pytest.approx(scenario.lift, abs=1e-9)
    low, high = found.effect["fixed"]
    assert (low > 0) is (scenario.lift > 0)
    assert high > 0
    assert [check for check in judged(found) if not check.met] == []
