"""Which service is asked when, without sockets: the clock is a number that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.client.calls import Call, Policy, RetryBudget, retry_after_s
from service.client.errors import DeadlineExceeded, Refused, Unavailable

PROBLEM = b'{"type": "urn:problem-type:ctr:unknown-field", "title": "t", "detail": "d", "field": "colour"}'


class Clock:
    """Seconds since the test began."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policy(clock: Clock) -> Callable[..., Policy]:
    def make(urls: tuple[str, ...] = ("http://a", "http://b"), retries: int = 3) -> Policy:
        return Policy(urls, 100.0, retries, clock=clock)

    return make


def test_each_url_is_asked_in_turn_until_no_try_is_left(policy: Callable[..., Policy]) -> None:
    call, asked = Call(policy(retries=3)), []
    for _ in range(4):
        asked.append(call.next().url)
        call.failed("refused")
    assert asked == ["http://a", "http://b", "http://a", "http://b"]
    with pytest.raises(Unavailable, match="http://b: refused; gave up after 4 tries: no try is left"):
        call.next()


def test_the_next_url_is_asked_at_once_and_a_second_round_after_a_random_while(policy: Callable[..., Policy]) -> None:
    waits: list[tuple[float, ...]] = []
    for _ in range(20):
        call, of_call = Call(policy(retries=5)), []
        for _ in range(6):
            of_call.append(call.next().wait_s)
            call.failed("refused")
        waits.append(tuple(of_call))
    assert all(first == second == 0.0 for first, second, *_ in waits)
    assert len({wait[2] for wait in waits}) > 10
    assert all(0 <= wait[2] <= 0.01 and 0 <= wait[4] <= 0.02 for wait in waits)


def test_a_url_that_failed_is_asked_last_for_a_second(policy: Callable[..., Policy], clock: Clock) -> None:
    shared = policy()
    first = Call(shared)
    first.next()
    first.failed("refused")
    assert Call(shared).next().url == "http://b"
    clock.now = 1.5
    assert Call(shared).next().url == "http://a"


def test_retry_after_is_waited_for_where_there_is_nowhere_else(policy: Callable[..., Policy]) -> None:
    call = Call(policy(("http://a",)), deadline_ms=3000)
    call.next()
    assert call.read(503, {"retry-after": "2"}, b"", bytes) is None
    attempt = call.next()
    assert attempt.wait_s == pytest.approx(2.0)
    assert attempt.timeout_s == pytest.approx(1.0)


def test_retry_after_beyond_the_deadline_ends_the_call_without_waiting(policy: Callable[..., Policy]) -> None:
    call = Call(policy(("http://a",)))
    call.next()
    call.read(429, {"retry-after": "2"}, PROBLEM, bytes)
    with pytest.raises(Unavailable, match="after the deadline") as caught:
        call.next()
    assert caught.value.status == 429


def test_retry_after_of_one_url_does_not_keep_from_asking_the_other(policy: Callable[..., Policy]) -> None:
    call = Call(policy())
    call.next()
    call.read(503, {"retry-after": "2"}, b"", bytes)
    assert call.next()[:2] == ("http://b", 0.0)
    call.failed("refused")
    assert call.next().url == "http://b", "a is closed for longer than the call has"


@pytest.mark.parametrize("status", [302, 400, 403, 413, 415, 422])
def test_what_is_refused_is_not_tried_again(policy: Callable[..., Policy], status: int) -> None:
    call = Call(policy())
    call.next()
    with pytest.raises(Refused) as caught:
        call.read(status, {}, PROBLEM, bytes)
    assert (caught.value.status, caught.value.kind, caught.value.problem["field"]) == (
        status,
        "unknown-field",
        "colour",
    )


@pytest.mark.parametrize("status", [500, 507])
def test_what_another_try_cannot_mend_is_not_tried_again(policy: Callable[..., Policy], status: int) -> None:
    call = Call(policy())
    call.next()
    with pytest.raises(Unavailable, match=f"HTTP {status}: no body"):
        call.read(status, {}, b"", bytes)


def test_a_call_ends_at_its_deadline_whatever_is_left_to_try(policy: Callable[..., Policy], clock: Clock) -> None:
    call = Call(policy())
    assert call.next().timeout_s == pytest.approx(0.1)
    call.failed("refused")
    clock.now = 0.06
    assert call.next().timeout_s == pytest.approx(0.04)
    call.failed("reset")
    clock.now = 0.101
    with pytest.raises(DeadlineExceeded, match=r"within 100 ms, failed tries: 2; last failure: http://b: reset"):
        call.next()


def test_where_most_calls_fail_nothing_is_tried_again_until_answers_come() -> None:
    budget = RetryBudget(tokens=4)
    assert [budget.failed() for _ in range(3)] == [True, False, False]
    for _ in range(20):
        budget.answered()
    assert budget.failed()


def test_a_budget_that_is_spent_ends_a_call_after_its_first_try(policy: Callable[..., Policy]) -> None:
    shared = policy()
    while shared.budget.failed():
        pass
    call = Call(shared)
    call.next()
    with pytest.raises(Unavailable, match="gave up after 1 tries: most calls of late failed"):
        call.failed("refused")


def test_answers_fill_the_budget_again(policy: Callable[..., Policy]) -> None:
    shared = policy()
    while shared.budget.failed():
        pass
    for _ in range(30):
        assert Call(shared).read(200, {}, b"yes", bytes) == b"yes"
    assert shared.budget.failed()


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert retry_after_s("7") == 7
    assert 50 < retry_after_s(soon) <= 60
    assert [retry_after_s(value) for value in (None, "soon", "-1", "Wed, 21 Oct 2015 07:28:00 GMT")] == [0, 0, 0, 0]


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host"])
def test_a_url_without_a_scheme_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected base URLs like http"):
        Policy((url,), 100.0, 2)


@pytest.mark.parametrize("deadline_ms", [0.0, -1.0, float("nan")])
def test_a_deadline_that_is_none_is_refused(deadline_ms: float) -> None:
    with pytest.raises(ValueError, match="expected milliseconds over 0"):
        Policy(("http://a",), deadline_ms, 2)
    with pytest.raises(ValueError, match="expected milliseconds over 0"):
        Call(Policy(("http://a",), 100.0, 2), deadline_ms)
