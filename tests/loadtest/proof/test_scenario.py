"""From a cold start to a verdict, with a lift so large that a few hundred units show it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loadtest.proof.scenario import Scenario, Stage, play
from loadtest.proof.truth import judged

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found through /proc")


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(name="doubled", lift=1.0, verdicts=frozenset({"ship"})),
        Scenario(name="A/A", mode="aa", verdicts=frozenset({"keep"})),
    ],
    ids=lambda scenario: scenario.name,
)
def test_the_service_s_own_report_recovers_what_traffic_was_made_with(scenario: Scenario, bundles: Path) -> None:
    stage = Stage(student=bundles / "student", teacher=None, users=800, requests=1500)
    found = play(scenario, stage, seed=1)
    assert found.truth == pytest.approx(scenario.lift, abs=1e-9)
    assert [check for check in judged(found) if not check.met] == []
