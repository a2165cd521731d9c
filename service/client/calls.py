"""One call from its deadline to its answer: which service is asked when, for how long, and when to give up.

It does no input or output, so that the sync and the async client decide alike. /predict is answered alike however often
it is sent (the request id makes one exposure of it) and /feedback stores an event once, so both may be sent again after
any failure that another try may mend. Waits are drawn at random up to a bound that doubles ("full jitter", Brooker,
AWS Architecture Blog 2015); tries are stopped where most calls of late needed one (retry throttling, gRPC proposal A6),
so that a service in trouble is not asked three times as much.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from operator import itemgetter
from typing import NamedTuple, TypeVar

from .errors import DeadlineExceeded, Refused, Unavailable, problem_of, said

RETRIED = frozenset({429, 502, 503, 504})
"""Statuses that another try may mend; 500 and 507 stay what they are until somebody acts."""
OK = 200
HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "kd-dagfm-client"}
_SERVER_ERRORS = 500
_FIRST_WAIT_S = 0.005
_LONGEST_WAIT_S = 0.25
_RESTS_S = 1.0
"""Seconds for which a service that failed is asked last."""

T = TypeVar("T")


class Attempt(NamedTuple):
    """What to do next: wait, then ask `url`, for at most `timeout_s`."""

    url: str
    wait_s: float
    timeout_s: float


class RetryBudget:
    """A failure takes a token, an answer gives a tenth back; below half of the tokens nothing is tried again."""

    def __init__(self, tokens: float = 20.0) -> None:
        self._most = self._tokens = tokens
        self._lock = threading.Lock()

    def failed(self) -> bool:
        """Count a failure; whether trying again is allowed."""
        with self._lock:
            self._tokens = max(0.0, self._tokens - 1)
            return self._tokens > self._most / 2

    def answered(self) -> None:
        """Count an answer."""
        with self._lock:
            self._tokens = min(self._most, self._tokens + 0.1)


@dataclass
class Policy:
    """What all calls of one client share.

    Attributes:
        urls: base URLs; the first is asked as long as it answers.
        deadline_ms: milliseconds a call may take altogether, unless it says otherwise.
        retries: most further tries of a call.
        attempt_ms: milliseconds one try may take; None for all that is left.
        clock: seconds that never go back.
    """

    urls: Sequence[str]
    deadline_ms: float
    retries: int
    attempt_ms: float | None = None
    clock: Callable[[], float] = time.monotonic
    budget: RetryBudget = field(default_factory=RetryBudget)
    rests_until: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.urls or any(not url.startswith(("http://", "https://")) for url in self.urls):
            raise ValueError(f"urls: got {list(self.urls)}, expected base URLs like http://127.0.0.1:8000")
        self.urls = tuple(url.rstrip("/") for url in self.urls)
        for name in ("deadline_ms", "attempt_ms"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: got {value}, expected milliseconds over 0")

    def order(self) -> list[str]:
        """The URLs in the order to ask them: those that failed within the last second come last."""
        now = self.clock()
        return sorted(self.urls, key=lambda url: self.rests_until.get(url, 0.0) > now)


class Call:
    """One call under a policy: `next` says what to do, `failed` and `read` take what came of it.

    Args:
        policy: of the client.
        deadline_ms: of this call; None for the policy's.
    """

    def __init__(self, policy: Policy, deadline_ms: float | None = None) -> None:
        if deadline_ms is not None and not deadline_ms > 0:
            raise ValueError(f"deadline_ms: got {deadline_ms}, expected milliseconds over 0")
        self._policy = policy
        self._deadline_ms = policy.deadline_ms if deadline_ms is None else deadline_ms
        self._ends = policy.clock() + self._deadline_ms / 1000
        self._order = policy.order()
        self._closed_until: dict[str, float] = {}
        self._failures: list[Unavailable] = []
        self._url = self._order[0]

    def next(self) -> Attempt:
        """The next try.

        Raises:
            DeadlineExceeded: the deadline has passed.
            Unavailable: no try is left, or none that could begin before the deadline.
        """
        left_s = self._left_s()
        if self._failures and len(self._failures) > self._policy.retries:
            raise self._given_up("no try is left")
        pause_s = self._pause_s()
        # The first of those that may be asked soonest: `min` keeps the order of equals.
        wait_s, self._url = min(((max(pause_s, self._closed_s(url)), url) for url in self._turns()), key=itemgetter(0))
        if wait_s >= left_s:
            raise self._given_up(f"the next try may begin in {1000 * wait_s:.0f} ms, after the deadline")
        timeout_s = left_s - wait_s
        attempt_ms = self._policy.attempt_ms
        return Attempt(self._url, wait_s, timeout_s if attempt_ms is None else min(timeout_s, attempt_ms / 1000))

    def failed(self, why: str) -> None:
        """The try had no answer; raises what ends the call, if this does."""
        self._note(Unavailable(f"{self._url}: {why}"))

    def read(self, status: int, headers: Mapping[str, str], content: bytes, parse: Callable[[bytes], T]) -> T | None:
        """What the answer says, or None where another try is to be made; raises what ends the call."""
        if status == OK:
            try:
                found = parse(content)
            except (ValueError, TypeError) as error:
                self._note(Unavailable(f"{self._url}: not an answer of this service: {error}", status=status))
                return None
            self._policy.budget.answered()
            return found
        problem = problem_of(content)
        message = f"{self._url}: {said(status, problem, content)}"
        if status in RETRIED:
            self._closed_until[self._url] = self._policy.clock() + retry_after_s(headers.get("retry-after"))
            self._note(Unavailable(message, status=status, problem=problem))
            return None
        error_type = Unavailable if status >= _SERVER_ERRORS else Refused
        raise error_type(message, status=status, problem=problem)

    def _note(self, failure: Unavailable) -> None:
        self._failures.append(failure)
        self._policy.rests_until[self._url] = self._policy.clock() + _RESTS_S
        if not self._policy.budget.failed():
            self._left_s()
            raise self._given_up("most calls of late failed")

    def _left_s(self) -> float:
        left_s = self._ends - self._policy.clock()
        if left_s <= 0:
            last = f"; last failure: {self._failures[-1]}" if self._failures else ""
            tries = len(self._failures)
            raise DeadlineExceeded(f"no answer within {self._deadline_ms:g} ms, failed tries: {tries}{last}")
        return left_s

    def _turns(self) -> list[str]:
        """The URLs, the one whose turn it is first."""
        turn = len(self._failures) % len(self._order)
        return [*self._order[turn:], *self._order[:turn]]

    def _pause_s(self) -> float:
        """Seconds to wait, at random, once every URL has failed; none before."""
        rounds = len(self._failures) // len(self._order)
        most_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**rounds) if rounds else 0.0
        return random.uniform(0.0, most_s)  # noqa: S311 - waits, not secrets

    def _closed_s(self, url: str) -> float:
        """Seconds for which a URL has asked this call to stay away."""
        return self._closed_until.get(url, 0.0) - self._policy.clock()

    def _given_up(self, why: str) -> Unavailable:
        last = self._failures[-1]
        tries = len(self._failures)
        return Unavailable(f"{last}; gave up after {tries} tries: {why}", status=last.status, problem=last.problem)


def retry_after_s(value: str | None) -> float:
    """Seconds of a Retry-After header, a number or a date (RFC 9110, 10.2.3); 0 for none or nonsense."""
    if value is None:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
