"""Records that wait for the writer: bounded, dropped and counted when there is no room, handed over in batches.

A record costs the request path an append and two comparisons behind a lock: the writer is woken only if it sleeps
because there was nothing to do. What somebody waits for, feedback, ends its sleep at once; the rest lets more of its
kind gather first.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

from service.events.records import Answered, FeedbackEvent, FeedbackStatus, Loss
from service.events.store import Batch, StoreAwayError

EXPOSURE, ANSWER, SHADOW = KINDS = ("exposure", "answer", "shadow")
"""Records that nobody waits for."""
_KIBIBYTE_BITS = 10
_AWAKE, _GATHERING, _IDLE = range(3)
"""Of the writer: at work; asleep until enough wait for feedback; asleep until there is anything."""

Dropped = Callable[[str, int], None]
"""Called with one of KINDS and how many records of it were dropped."""


class Call(NamedTuple):
    """Feedback events of one caller, who waits for what became of them."""

    events: Sequence[FeedbackEvent]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[FeedbackStatus]]


@dataclass(kw_only=True, slots=True)
class Taken:
    """What the writer took to be written in one transaction."""

    records: Mapping[str, list[Any]]
    """Kind → records that nobody waits for."""
    calls: Sequence[Call]
    losses: Mapping[str, int]
    """Kind → records that were dropped since the last batch."""
    lost_ms: int
    """When the first of them was."""
    weight: int = field(init=False)
    """What `records` counted against the bound."""

    def __post_init__(self) -> None:
        answers = sum(map(weight_of, self.records[ANSWER]))
        self.weight = len(self.records[EXPOSURE]) + len(self.records[SHADOW]) + answers

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.weight or self.calls or self.losses)

    def batch(self) -> Batch:
        """The same as the store takes it."""
        return Batch(
            exposures=self.records[EXPOSURE],
            answers=self.records[ANSWER],
            shadows=self.records[SHADOW],
            feedback=[event for call in self.calls for event in call.events],
            losses=[Loss(self.lost_ms, kind, dropped) for kind, dropped in self.losses.items()],
        )


class Queued:
    """The queue of one process: `add`, `add_call` and `close` are for any thread, the rest for the writer's.

    Args:
        max_queued: most records that wait; a big answer counts as several, see `weight_of`.
        dropped: told of every record that found no room.
    """

    def __init__(self, max_queued: int, dropped: Dropped) -> None:
        self._max_queued = max_queued
        self._tell = dropped
        self._lock = Lock()
        self._bell = Lock()
        self._bell.acquire()
        self._sleep = _AWAKE
        self._records: dict[str, list[Any]] = {kind: [] for kind in KINDS}
        self._calls: list[Call] = []
        self._losses: Counter[str] = Counter()
        self._lost_ms = 0
        self._closed = False
        self._awaited = 1
        self._last_calls = 0
        self.weight = 0
        """How much waits, against the bound."""

    def add(self, kind: str, record: Any, weight: int = 1) -> bool:
        """Append a record that nobody waits for; False when there is no room."""
        with self._lock:
            if self.weight < self._max_queued:
                self.weight += weight
                self._records[kind].append(record)
                if self._sleep == _IDLE:
                    self._ring()
                return True
        self.drop(kind, 1)
        return False

    def add_call(self, call: Call) -> None:
        """Append feedback; raises StoreAwayError when there is no room, or the queue is closed."""
        with self._lock:
            if self._closed:
                raise StoreAwayError("the service is stopping; send this again later")
            if self.weight >= self._max_queued:
                raise StoreAwayError(f"{self.weight} records wait to be stored already; send this again later")
            self.weight += len(call.events)
            self._calls.append(call)
            if self._sleep == _IDLE or (self._sleep == _GATHERING and len(self._calls) >= self._awaited):
                self._ring()

    @property
    def closed(self) -> bool:
        """Whether nothing is taken in any more."""
        return self._closed

    def close(self) -> None:
        """Take nothing in any more, and let the writer sleep no more."""
        with self._lock:
            self._closed, self._max_queued = True, 0
            if self._sleep != _AWAKE:
                self._ring()

    def drop(self, kind: str, dropped: int) -> None:
        """Count records that are lost; the next batch that is written says so."""
        with self._lock:
            self._lost_ms = self._lost_ms or time.time_ns() // 1_000_000
            self._losses[kind] += dropped
        self._tell(kind, dropped)

    def wait(self, idle_s: float, gather_s: float, company_s: float) -> None:
        """Sleep until there is something to write, and until it is worth a transaction.

        Args:
            idle_s: seconds at most until there is anything.
            gather_s: seconds at most that records gather which nobody waits for.
            company_s: seconds at most that callers wait until there are as many as last time; a lone one waits for
                nobody.
        """
        self._sleep_while(lambda: not self.weight, _IDLE, idle_s)
        self.pause(gather_s)
        if self._calls and self._last_calls > 1:
            self.pause(company_s, self._last_calls)

    def pause(self, seconds: float, callers: int = 1) -> None:
        """Sleep until so many callers wait for feedback, `seconds` at most."""
        self._awaited = callers
        self._sleep_while(lambda: len(self._calls) < callers, _GATHERING, seconds)

    def take(self, most: int) -> Taken:
        """What waits: of every kind `most` records at most, of feedback the calls that begin within `most` events."""
        with self._lock:
            calls, events = self._first_calls(most)
            records = {kind: waiting[:most] for kind, waiting in self._records.items()}
            for waiting in self._records.values():
                del waiting[:most]
            losses, lost_ms = dict(self._losses), self._lost_ms
            self._losses.clear()
            self._lost_ms = 0
        self._last_calls = len(calls)
        taken = Taken(records=records, calls=calls, losses=losses, lost_ms=lost_ms)
        with self._lock:
            self.weight -= taken.weight + events
        return taken

    def put_back(self, taken: Taken) -> None:
        """Let what could not be written wait again, before all others; but not those who wait for feedback."""
        with self._lock:
            for kind, records in taken.records.items():
                self._records[kind][:0] = records
            self.weight += taken.weight
            self._remember(taken)

    def give_up(self, taken: Taken) -> None:
        """Count what cannot be written as lost."""
        with self._lock:
            self._remember(taken)
        for kind, records in taken.records.items():
            if records:
                self.drop(kind, len(records))

    def _first_calls(self, most: int) -> tuple[list[Call], int]:
        events = 0
        for place, call in enumerate(self._calls):
            if events >= most:
                first, self._calls = self._calls[:place], self._calls[place:]
                return first, events
            events += len(call.events)
        first, self._calls = self._calls, []
        return first, events

    def _remember(self, taken: Taken) -> None:
        """Losses that no batch could report."""
        self._losses.update(taken.losses)
        self._lost_ms = taken.lost_ms or self._lost_ms

    def _sleep_while(self, needless: Callable[[], bool], sleep: int, seconds: float) -> None:
        with self._lock:
            if self._closed or seconds <= 0 or not needless():
                return
            self._sleep = sleep
        if not self._bell.acquire(timeout=seconds):
            with self._lock:
                if self._sleep == _AWAKE:  # the bell was rung just now
                    self._bell.acquire()
                self._sleep = _AWAKE

    def _ring(self) -> None:
        self._sleep = _AWAKE
        self._bell.release()


def weight_of(answer: Answered) -> int:
    """What an answer counts against the bound: one, and one more for every KiB it stores."""
    return 1 + ((len(answer.probabilities) + len(answer.items)) >> _KIBIBYTE_BITS)
