from __future__ import annotations

import pytest

from loadtest.proof.compose.basics import answered, healthy, shared
from loadtest.proof.compose.load import Outcome
from loadtest.proof.compose.project import Container

MODELS = {"student": "s@1", "teacher": "t@1"}


def outcome(
    arm: str, *, got: str | None = None, model: str | None = None, status: int = 200, fallback: bool = False
) -> Outcome:
    model = model or MODELS["student" if fallback else arm]
    answer = {"arm": got or arm, "model": model, "fallback": fallback, "probabilities": [0.1, 0.2]}
    return Outcome(request_id="r", arm=arm, sent_s=0, done_s=0, status=status, answer=answer if status == 200 else {})


def container(service: str, state: str = "running", health: str = "healthy", exit_code: int = 0) -> Container:
    return Container(service=service, state=state, health=health, exit_code=exit_code)


def test_running_and_healthy_containers_and_ended_one_shots_are_well() -> None:
    assert healthy([container("student"), container("trainer", "exited", "")]).met


@pytest.mark.parametrize(
    "ill",
    [
        container("student", health="unhealthy"),
        container("student", health="starting"),
        container("student", "exited", ""),
        container("trainer", "exited", "", 1),
        container("trainer", "running", ""),
    ],
    ids=str,
)
def test_one_that_is_not_well_is_named(ill: Container) -> None:
    check = healthy([container("prometheus"), ill])
    assert (check.met, ill.service in check.found) == (False, True)


def test_an_even_split_by_the_right_models_meets_everything() -> None:
    outcomes = [outcome("student")] * 1020 + [outcome("teacher")] * 980
    assert [check.met for check in shared(outcomes, MODELS)] == [True] * 4


def test_a_split_beyond_chance_is_told() -> None:
    outcomes = [outcome("student")] * 1080 + [outcome("teacher")] * 920
    assert [check.met for check in shared(outcomes, MODELS)] == [False, True, True, True]


def test_one_unit_in_another_arm_and_one_answered_by_the_other_model_are_told() -> None:
    even = [outcome("student")] * 1000 + [outcome("teacher")] * 999
    assert [check.met for check in shared([*even, outcome("teacher", got="student")], MODELS)] == [
        True,
        False,
        True,
        True,
    ]
    assert [check.met for check in shared([*even, outcome("teacher", model="s@1")], MODELS)] == [
        True,
        True,
        False,
        True,
    ]


def test_some_answers_in_the_teachers_place_are_no_fault_and_most_of_them_are() -> None:
    own = [outcome("student")] * 1000
    some = [outcome("teacher")] * 600 + [outcome("teacher", fallback=True)] * 400
    assert [check.met for check in shared(own + some, MODELS)] == [True] * 4
    none = [outcome("teacher", fallback=True)] * 1000
    assert [check.met for check in shared(own + none, MODELS)] == [True, True, True, False]


def test_an_answer_with_too_few_probabilities_and_none_at_all_are_told() -> None:
    assert answered([outcome("student")], 2).met
    assert not answered([outcome("student")], 3).met
    assert not answered([outcome("student"), outcome("student", status=500)], 2).met
