from __future__ import annotations

import orjson
import pytest

from loadtest.bench.client import Answer
from loadtest.ranking.answers import WrongAnswerError, events, feedback_results, prediction
from loadtest.ranking.prepared import Prepared


def answer(body: object, status: int = 200) -> Answer:
    return Answer(status, {}, body if isinstance(body, bytes) else orjson.dumps(body))


def test_a_right_answer_has_a_probability_per_candidate() -> None:
    assert prediction(answer({"probabilities": [0.0, 1.0, 0.5]}), 3)["probabilities"] == [0.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (answer({"type": "urn:problem-type:ctr:not-ready"}, 503), "status 503 not-ready"),
        (answer(b"<html>", 502), "status 502"),
        (answer({"probabilities": [0.1, 0.2]}), "another number of probabilities"),
        (answer({"probabilities": [0.1, 0.2, 0.3, 0.4]}), "another number of probabilities"),
        (answer({"probabilities": []}), "without readable probabilities"),
        (answer({"probabilities": [0.1, 0.2, None]}), "without readable probabilities"),
        (answer({"probabilities": [0.1, 0.2, "0.3"]}), "without readable probabilities"),
        (answer({"probabilities": [0.1, 0.2, 1.5]}), "outside 0 to 1"),
        (answer({"probabilities": [-0.1, 0.2, 0.5]}), "outside 0 to 1"),
        (answer(b'{"probabilities": [0.1, 0.2, NaN]}'), "without readable probabilities"),
        (answer({"hello": 1}), "without readable probabilities"),
        (answer([1, 2, 3]), "without readable probabilities"),
    ],
)
def test_any_other_answer_is_a_failure_and_says_which(wrong: Answer, why: str) -> None:
    with pytest.raises(WrongAnswerError, match=why):
        prediction(wrong, 3)


def test_the_most_probable_candidates_are_seen_and_clicked_as_far_down_as_their_reader_looks() -> None:
    request = Prepared(b"", b"", 4, [3, 1, 0, 2])
    read = {"probabilities": [0.2, 0.3, 0.9, 0.1], "token": "t"}
    sent = events(request, "r1", read, shown=3)
    assert [(event["position"], event["type"]) for event in sent] == [
        (2, "impression"),  # rank 1, never clicked
        (1, "impression"),  # rank 2, clicked at rank 1 alone
        (0, "impression"),  # rank 3, clicked down to it
        (0, "click"),
    ]
    assert {(event["request_id"], event["token"]) for event in sent} == {("r1", "t")}


def test_a_request_without_feedback_has_none() -> None:
    assert events(Prepared(b"", b"", 2, None), "r1", {"probabilities": [0.1, 0.2]}, shown=2) == []


def test_feedback_that_is_not_stored_is_a_failure() -> None:
    counted = {"accepted": 3, "duplicates": 0, "late": 0, "unknown": 1, "refused": 0}
    assert feedback_results(answer(counted)) == {"accepted": 3, "unknown": 1}
    with pytest.raises(WrongAnswerError, match="feedback: status 507 store-full"):
        feedback_results(answer({"type": "urn:problem-type:ctr:store-full"}, 507))
