"""The users, as locust runs them: each a green thread with one connection.

Measured on one core with 100 candidates, and with locust's own accounting: 55 µs of CPU a request through
`loadtest.bench.client`, 83 through geventhttpclient and 160 through locust's FastHttpUser. A student answers in about
90, so the difference decides whether one core of load can fill one core of service.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import User, constant, task

from loadtest.bench.client import Answer, Connection
from loadtest.ranking.answers import WrongAnswerError, events, feedback_body, feedback_results, prediction
from loadtest.ranking.options import OPEN, Site
from loadtest.ranking.prepared import Prepared
from loadtest.ranking.run import Run
from loadtest.ranking.watch import PERIOD_S

BULK = 500
"""Most feedback events of one request."""
FEEDBACK_S = 0.5
"""Between two posts of feedback."""
RECONNECT_S = 0.1
"""A closed loop's rest after a connection broke, so that a service which is down is not asked a thousand times."""
clock = time.perf_counter


class Line:
    """A connection that is opened when it is needed, and again after it broke."""

    def __init__(self, site: Site, timeout_s: float) -> None:
        self._site, self._timeout_s = site, timeout_s
        self._connection: Connection | None = None

    def exchange(self, message: bytes) -> Answer:
        """Send a request and wait for its answer; raises OSError where none comes whole."""
        if self._connection is None:
            self._connection = Connection(self._site.port, self._site.host, self._timeout_s)
        try:
            return self._connection.exchange(message)
        except BaseException:  # a user that is stopped leaves an answer on its way, too
            self.close()
            raise

    def get(self, path: str) -> Answer:
        """The answer to a GET; raises OSError."""
        return self.exchange(f"GET {path} HTTP/1.1\r\nHost: {self._site.host}\r\n\r\n".encode())

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.__exit__(None, None, None)
            self._connection = None


class RankingUser(User):
    """Asks for predictions as the run has them: each when it is due, or one after another with think time."""

    wait_time = constant(0)
    current: Run | None = None
    """The run under way, of all users; None before it."""

    def on_start(self) -> None:
        """Nothing is connected yet."""
        self._line: Line | None = None

    def on_stop(self) -> None:
        """Leave no connection behind."""
        if self._line is not None:
            self._line.close()

    @task
    def ask(self) -> None:
        """Ask until the run is over; locust's own loop between two tasks would cost as much as a request."""
        run = RankingUser.current
        if run is None:
            gevent.sleep(PERIOD_S)
            return
        self._line = self._line or Line(run.plan.site, run.plan.timeout_s)
        if run.plan.loop == OPEN:
            self._arrive(run, self._line)
        else:
            self._think(run, self._line)
        gevent.sleep(PERIOD_S)

    def _arrive(self, run: Run, line: Line) -> None:
        while (arrival := run.arrival()) is not None:
            free_s = clock()
            if arrival.due_s > free_s:
                gevent.sleep(arrival.due_s - free_s)
            sent_s = clock()
            could_s = max(arrival.due_s, free_s)
            waited_ms = (could_s - arrival.due_s) * 1e3
            run.records[arrival.stage].started(waited_ms=waited_ms, own_ms=(sent_s - could_s) * 1e3)
            if waited_ms > run.plan.timeout_s * 1e3:
                self._fail(run, arrival.stage, waited_ms, "not sent: every connection was busy for the whole timeout")
            else:
                self._exchange(run, line, arrival.stage, arrival.due_s)

    def _think(self, run: Run, line: Line) -> None:
        place = run.enrolled()
        while (stage := run.stage_at(clock())) < len(run.records):
            if place >= run.plan.stages[stage].load:  # a user of a busier stage
                gevent.sleep(PERIOD_S)
                continue
            if not self._exchange(run, line, stage, clock()):
                gevent.sleep(RECONNECT_S)
            if run.plan.think_s:
                gevent.sleep(random.expovariate(1 / run.plan.think_s))

    def _exchange(self, run: Run, line: Line, stage: int, since_s: float) -> bool:
        """One request, its latency counted from `since_s`; whether an answer came at all."""
        request, request_id = run.request()
        run.in_flight += 1
        try:
            answer = line.exchange(request.message(request_id.encode()))
            now_s = clock()
            read = prediction(answer, request.candidates)
        except OSError as error:
            self._fail(run, stage, (clock() - since_s) * 1e3, _broken(error))
            return False
        except WrongAnswerError as error:
            self._fail(run, stage, (now_s - since_s) * 1e3, str(error))
            return True
        finally:
            run.in_flight -= 1
        self._count(run, stage, (now_s - since_s) * 1e3, len(answer.body), None)
        run.answered(stage, now_s, (now_s - since_s) * 1e3, request.candidates)
        self._keep(run, stage, request, request_id, read)
        return True

    @staticmethod
    def _keep(run: Run, stage: int, request: Prepared, request_id: str, read: Mapping[str, Any]) -> None:
        if request.clicked_to is not None:
            run.keep(stage, events(request, request_id, read, run.plan.traffic.shown))

    def _fail(self, run: Run, stage: int, latency_ms: float, why: str) -> None:
        run.failed(stage, why)
        self._count(run, stage, latency_ms, 0, WrongAnswerError(why))

    def _count(self, run: Run, stage: int, latency_ms: float, length: int, error: Exception | None) -> None:
        """Tell locust."""
        self.environment.events.request.fire(
            request_type="POST",
            name=run.name(stage),
            response_time=latency_ms,
            response_length=length,
            exception=error,
            context={},
        )


def send_feedback(run: Run, environment: Any) -> None:
    """Send what users did, twice a second, on a connection of its own, until the run is over."""
    line = Line(run.plan.site, run.plan.timeout_s)
    while not run.over(clock()) or run.events:
        gevent.sleep(FEEDBACK_S)
        while run.events:
            sent, run.events = run.events[:BULK], run.events[BULK:]
            _post(run, environment, line, feedback_body(sent))
    line.close()


def _post(run: Run, environment: Any, line: Line, body: bytes) -> None:
    head = f"POST /feedback HTTP/1.1\r\nHost: {run.plan.site.host}\r\nContent-Type: application/x-ndjson\r\n"
    began_s, failure, length = clock(), None, 0
    try:
        answer = line.exchange(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        length = len(answer.body)
        run.fed_back(clock(), feedback_results(answer))
    except OSError as error:
        failure = WrongAnswerError(f"feedback: {_broken(error)}")
    except WrongAnswerError as error:
        failure = error
    if failure is not None:
        run.failed(run.stage_at(began_s), str(failure))
    environment.events.request.fire(
        request_type="POST",
        name="/feedback",
        response_time=(clock() - began_s) * 1e3,
        response_length=length,
        exception=failure,
        context={},
    )


def watch_loop(run: Run) -> None:
    """Look at this process every PERIOD_S until the stages are over; the lag is how late each look comes."""
    run.watch.look(0, clock(), 0.0)
    while (stage := run.stage_at(clock())) < len(run.records) and not run.ended:
        wanted_s = clock() + PERIOD_S
        gevent.sleep(PERIOD_S)
        now_s = clock()
        run.watch.look(stage, now_s, (now_s - wanted_s) * 1e3)


def _broken(error: OSError) -> str:
    return f"{type(error).__name__}: {error.strerror or error}"
