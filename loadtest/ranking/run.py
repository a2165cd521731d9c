"""One run: what is sent next, what came of it, and the figures in the end. Knows no locust and no clock of its own."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, cycle

from loadtest.ranking.answers import Event
from loadtest.ranking.options import OPEN, Plan
from loadtest.ranking.prepared import Prepared
from loadtest.ranking.record import StageFigures, StageRecord
from loadtest.ranking.stages import Arrival, Timeline, arrivals
from loadtest.ranking.watch import Usage, Watch, bottleneck

MOST_EVENTS = 50_000
"""Feedback that may wait to be sent; what comes on top is not sent, and counted."""
NOT_SENT = "not sent"


class Run:
    """What all users of a run share; to be used from one thread.

    Args:
        plan: what to do.
        requests: made ahead, sent in turn.
        watch: of this generator.
        started_s: when it begins, on the clock that all other times here are from.
    """

    def __init__(self, plan: Plan, requests: Sequence[Prepared], watch: Watch, started_s: float) -> None:
        self.plan = plan
        self.watch = watch
        self.timeline = Timeline(plan.stages)
        self.records = [StageRecord() for _ in plan.stages]
        self.started_s = started_s
        self.ended = False
        """Whether somebody stopped it, before its time or after."""
        self.in_flight = 0
        self.events: list[Event] = []
        self._next = cycle(requests)
        self._arrivals: Iterator[Arrival] = iter(())
        if plan.loop == OPEN:
            self._arrivals = arrivals(self.timeline, plan.arrivals, plan.traffic.seed)
        self.left = True
        """Whether an open loop has requests left to send."""
        self._ids, self._prefix, self._places = count(), secrets.token_hex(4), count()

    def request(self) -> tuple[Prepared, str]:
        """The next request and its id, of ID_LENGTH characters."""
        return next(self._next), f"{self._prefix}{next(self._ids):012x}"

    def enrolled(self) -> int:
        """Place of a new user of a closed loop among all, from 0."""
        return next(self._places)

    def arrival(self) -> Arrival | None:
        """The next request of an open loop, its time on this run's clock; None when no more are due."""
        found = next(self._arrivals, None)
        self.left = found is not None
        return None if found is None else Arrival(self.started_s + found.due_s, found.stage)

    def stage_at(self, now_s: float) -> int:
        """Index of the stage, or their number when all are over."""
        return self.timeline.stage_at(now_s - self.started_s)

    def over(self, now_s: float) -> bool:
        """Whether all that was due is answered, or has had the time to be."""
        past_s = now_s - self.started_s - self.timeline.seconds
        if self.ended or past_s < 0:
            return self.ended
        waiting = self.in_flight > 0 or (self.plan.loop == OPEN and self.left)
        return not waiting or past_s > 2 * self.plan.timeout_s

    def name(self, stage: int) -> str:
        """What locust's own statistics call a request of this stage."""
        if len(self.plan.stages) == 1:
            return self.plan.path
        return f"{self.plan.path} ({self.plan.stages[min(stage, len(self.plan.stages) - 1)].name})"

    def answered(self, stage: int, now_s: float, latency_ms: float, candidates: int) -> None:
        """A right answer came to a request that was due in `stage`."""
        self.records[stage].latency.add(latency_ms)
        done_in = self.stage_at(now_s)
        if done_in < len(self.records):
            self.records[done_in].completed += 1
            self.records[done_in].candidates += candidates

    def failed(self, stage: int, why: str) -> None:
        """A request that was due in `stage` got no right answer."""
        self.records[min(stage, len(self.records) - 1)].errors[why] += 1

    def keep(self, stage: int, events: list[Event]) -> None:
        """Feedback to be sent."""
        if len(self.events) + len(events) > MOST_EVENTS:
            self.records[stage].feedback[NOT_SENT] += len(events)
        else:
            self.events += events

    def fed_back(self, now_s: float, results: Mapping[str, int]) -> None:
        """What became of feedback."""
        self.records[min(self.stage_at(now_s), len(self.records) - 1)].feedback.update(results)

    def figures(self, now_s: float, *, measured: bool = True) -> list[StageFigures]:
        """Every stage so far that is measured, or every one."""
        found = []
        for number, stage in enumerate(self.plan.stages):
            elapsed_s = now_s - self.started_s - self.timeline.start_of(number)
            if elapsed_s > 0 and (stage.measured or not measured):
                found.append(self._figures(number, min(stage.seconds, elapsed_s)))
        return found

    def _figures(self, number: int, seconds: float) -> StageFigures:
        stage, record, usage = self.plan.stages[number], self.records[number], self.watch.usages[number]
        return StageFigures(
            name=stage.name,
            seconds=seconds,
            load=stage.load,
            asked=record.asked,
            errors=record.errors.total(),
            error_ratio=record.error_ratio,
            requests_per_s=record.completed / seconds,
            candidates_per_s=record.candidates / seconds,
            p50_ms=record.latency.quantile(0.50),
            p95_ms=record.latency.quantile(0.95),
            p99_ms=record.latency.quantile(0.99),
            late_waiting=record.late_waiting,
            late_generator=record.late_generator,
            own_late_p99_ms=record.generator.quantile(0.99),
            own_cores=usage.own_cores,
            lag_p99_ms=usage.lag.quantile(0.99),
            server_cores=usage.server_cores,
            cpu_s_per_million=_per_million(usage, record.candidates / seconds),
            why=dict(record.errors.most_common()),
            feedback=dict(record.feedback),
            bottleneck=bottleneck(usage, self.plan.limits),
        )


def _per_million(usage: Usage, candidates_per_s: float) -> float:
    return usage.server_cores / candidates_per_s * 1e6 if candidates_per_s else math.nan
