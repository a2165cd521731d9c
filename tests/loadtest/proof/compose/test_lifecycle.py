from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.proof.compose.lifecycle import Kept, stopped, survived
from loadtest.proof.compose.project import Container

BEFORE = Kept(models={"student": "s@1"}, exposures=10, feedback=5, revision=1)
SAID = "trainer: nothing to do"


def test_what_is_the_same_afterwards_or_has_grown_has_survived() -> None:
    assert [check.met for check in survived(BEFORE, BEFORE, SAID)] == [True, True]
    assert [check.met for check in survived(BEFORE, replace(BEFORE, exposures=11), SAID)] == [True, True]


@pytest.mark.parametrize("lost", [{"exposures": 9}, {"feedback": 4}, {"revision": 0}], ids=str)
def test_one_event_or_revision_that_is_lost_is_told(lost: dict[str, int]) -> None:
    assert [check.met for check in survived(BEFORE, replace(BEFORE, **lost), SAID)] == [True, False]  # type: ignore[arg-type]


def test_nothing_kept_proves_nothing() -> None:
    nothing = replace(BEFORE, exposures=0, feedback=0)
    assert not survived(nothing, nothing, SAID)[1].met


def test_bundles_that_were_made_again_are_told() -> None:
    assert not survived(BEFORE, BEFORE, "teach 1 0.5 s")[0].met
    assert not survived(BEFORE, replace(BEFORE, models={"student": "s@2"}), SAID)[0].met


def test_a_container_that_had_to_be_killed_is_named() -> None:
    codes = {"student": 0, "prometheus": 143, "locust": 1, "watch": 137}
    ended = [Container(service=name, state="exited", health="", exit_code=code) for name, code in codes.items()]
    assert stopped(ended[:3], 1).met
    assert (stopped(ended, 1).met, stopped(ended, 1).found) == (False, "watch 137, after 1.0 s")
