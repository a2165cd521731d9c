from __future__ import annotations

from itertools import count
from typing import Any

from loadtest.proof.compose.failures import Moments, judged_replica, judged_teacher
from loadtest.proof.compose.load import Outcome

MOMENTS = Moments(kill_s=10, killed_s=10.5, start_s=15, started_s=18)
_numbers = count()


def outcome(arm: str, sent_s: float, *, status: int = 200, fallback: bool = False, took_s: float = 0.01) -> Outcome:
    answer: dict[str, Any] = {"fallback": fallback} if status == 200 else {}
    return Outcome(
        request_id=f"{next(_numbers)}",
        arm=arm,
        sent_s=sent_s,
        done_s=sent_s + took_s,
        status=status,
        answer=answer,
    )


def as_promised() -> list[Outcome]:
    """Both arms asked at every half second; the teacher's units get fallbacks while it is dead."""
    times = [half / 2 for half in range(48)]
    own = [outcome("student", at) for at in times]
    other = [outcome("teacher", at, fallback=10 < at < 17) for at in times]
    return own + other


def test_a_teacher_that_dies_and_comes_back_as_promised_meets_everything() -> None:
    checks = judged_teacher(as_promised(), MOMENTS)
    assert [check.met for check in checks] == [True] * 4
    assert checks[3].found == "12 of 12, the first 2.0 s after its start"


def test_a_failed_request_of_the_students_arm_is_told() -> None:
    failed = [*as_promised(), outcome("student", 12.1, status=503)]
    assert [check.met for check in judged_teacher(failed, MOMENTS)] == [False, True, True, True]


def test_a_failed_request_of_the_teachers_arm_is_told() -> None:
    failed = [*as_promised(), outcome("teacher", 12.1, status=0)]
    assert [check.met for check in judged_teacher(failed, MOMENTS)] == [True, False, False, True]


def test_a_dead_teacher_that_answers_was_not_killed() -> None:
    answered = [*as_promised(), outcome("teacher", 12.1)]
    assert [check.met for check in judged_teacher(answered, MOMENTS)] == [True, True, False, True]


def test_a_teacher_that_stays_away_is_told() -> None:
    away = [one for one in as_promised() if one.sent_s < 17]
    away += [outcome("teacher", 20, fallback=True), outcome("student", 20)]
    checks = judged_teacher(away, MOMENTS)
    assert [check.met for check in checks] == [True, True, True, False]
    assert checks[3].found == "0 of 1, the first never"


def test_nobody_who_asks_proves_nothing() -> None:
    assert not any(check.met for check in judged_teacher([], MOMENTS)[2:])
    assert not judged_replica([], MOMENTS)[1].met


def test_a_replica_that_dies_unnoticed_meets_everything() -> None:
    asked = [outcome("student", half / 2) for half in range(48)]
    assert [check.met for check in judged_replica(asked, MOMENTS)] == [True, True]


def test_a_request_that_died_with_its_replica_is_counted_beside_those_in_flight() -> None:
    asked = [outcome("student", half / 2) for half in range(48)]
    in_flight = [outcome("student", 9.9, took_s=0.2), outcome("student", 10.2, status=502)]
    failed, _ = judged_replica(asked + in_flight, MOMENTS)
    assert (failed.found, failed.met) == ("1 (4 were in flight between kill and its end)", False)
