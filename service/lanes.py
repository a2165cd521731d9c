"""Lanes: where a batch is scored. A student's never waits behind a teacher's.

A small student batch runs on the event loop itself: a thread hop costs 30-50 µs, more than such a batch takes. A
larger one runs on the student's own threads. A teacher's runs on one thread of its own, behind a bounded number of
waiting requests and a deadline; the runtime releases the interpreter lock while it computes.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from time import perf_counter
from typing import NamedTuple, Protocol

from service.api.problems import Problem, ProblemError
from service.bundle import Flops, Ids
from service.queues import QueueInstruments
from service.scoring import Logits, Scorer


class Scored(NamedTuple):
    """The logits of one batch and what getting them took."""

    logits: Logits
    """[N] float32."""
    queue_s: float | None
    """Seconds between submission and start; None when the batch ran at once on the event loop."""
    infer_s: float
    """Seconds the scorer ran."""


class Lane(Protocol):
    """Scores batches of one arm."""

    async def score(self, scorer: Scorer, context_ids: Ids, candidate_ids: Ids) -> Scored:
        """Score candidates [N, Ff] in the context [1, Fc]."""
        ...

    def close(self) -> None:
        """Drop what waits; let what runs finish."""
        ...


class StudentLane:
    """Scores on the event loop up to a budget, above it on threads.

    Args:
        flops: what the scorer executes.
        inline_multiplications: the budget of one batch on the event loop.
        threads: for batches above the budget.
        instruments: say how much waits for these.
    """

    def __init__(
        self, *, flops: Flops, inline_multiplications: int, threads: int, instruments: QueueInstruments
    ) -> None:
        once, first = flops.of_request(0), flops.of_request(1)
        self.inline_candidates = (inline_multiplications - once) / max(first - once, 1.0)
        """Largest N that is scored on the event loop."""
        self._threads = _Threads(threads, "student", instruments)

    async def score(self, scorer: Scorer, context_ids: Ids, candidate_ids: Ids) -> Scored:
        """Score candidates [N, Ff] in the context [1, Fc]."""
        if len(candidate_ids) <= self.inline_candidates:
            return _score(scorer, context_ids, candidate_ids, submitted=None)
        return await asyncio.wrap_future(self._threads.submit(scorer, context_ids, candidate_ids))

    def close(self) -> None:
        """Drop what waits; let what runs finish."""
        self._threads.close()


class TeacherLane:
    """Scores on one thread, with a deadline and a bound on the requests admitted.

    Args:
        timeout_ms: milliseconds a request may wait and run.
        max_waiting: most requests admitted at once, the running one included.
        instruments: say how much waits, and count what is turned away.
    """

    def __init__(self, *, timeout_ms: float, max_waiting: int, instruments: QueueInstruments) -> None:
        self._timeout_ms = timeout_ms
        self._max_waiting = max_waiting
        self._slots = threading.BoundedSemaphore(max_waiting)
        self._instruments = instruments
        self._threads = _Threads(1, "teacher", instruments)

    async def score(self, scorer: Scorer, context_ids: Ids, candidate_ids: Ids) -> Scored:
        """Score candidates [N, Ff] in the context [1, Fc].

        Raises:
            ProblemError: 503 when too many wait already, 504 past the deadline. What still waits then never runs.
        """
        if not self._slots.acquire(blocking=False):
            self._instruments.busy.inc()
            detail = f"{self._max_waiting} teacher requests wait already; try again later or ask the student"
            raise ProblemError(Problem.TEACHER_BUSY, detail, headers={"retry-after": "1"})
        future = self._threads.submit(scorer, context_ids, candidate_ids)
        # Runs when the work ends or is cancelled while waiting, so a running batch past its deadline keeps its slot.
        future.add_done_callback(lambda _done: self._slots.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._timeout_ms / 1000)
        except TimeoutError:
            self._instruments.deadline.inc()
            detail = (
                f"no answer for {len(candidate_ids)} candidates within {self._timeout_ms:g} ms; "
                "send fewer candidates, raise CTR_TEACHER_TIMEOUT_MS, or ask the student"
            )
            raise ProblemError(Problem.TEACHER_TIMEOUT, detail) from None

    def close(self) -> None:
        """Drop what waits; let what runs finish."""
        self._threads.close()


class _Threads:
    """Threads that score batches, and the count of candidates that wait for one."""

    def __init__(self, threads: int, name: str, instruments: QueueInstruments) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting = instruments.candidates

    def submit(self, scorer: Scorer, context_ids: Ids, candidate_ids: Ids) -> Future[Scored]:
        """Have a batch scored as soon as a thread is free."""
        waiting = len(candidate_ids)
        self._waiting.inc(waiting)
        run = copy_context().run  # what is logged there belongs to the request
        future = self._executor.submit(run, self._run, scorer, context_ids, candidate_ids, perf_counter())
        # One that is cancelled never runs, so that nothing else would take it off the count.
        future.add_done_callback(lambda done: self._waiting.dec(waiting) if done.cancelled() else None)
        return future

    def _run(self, scorer: Scorer, context_ids: Ids, candidate_ids: Ids, submitted: float) -> Scored:
        self._waiting.dec(len(candidate_ids))
        return _score(scorer, context_ids, candidate_ids, submitted)

    def close(self) -> None:
        """Drop what waits; let what runs finish."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _score(scorer: Scorer, context_ids: Ids, candidate_ids: Ids, submitted: float | None) -> Scored:
    started = perf_counter()
    logits_N = scorer.score(context_ids, candidate_ids)
    ended = perf_counter()
    queue_s = None if submitted is None else started - submitted
    return Scored(logits=logits_N, queue_s=queue_s, infer_s=ended - started)
