"""What locust calls: options, the start of a run, its shape, its end and the exit status."""

from __future__ import annotations

import gc
import logging
import math
import time
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import LoadTestShape
from locust.runners import LocalRunner

from loadtest.launch import cpu_s
from loadtest.ranking.budget import Verdict, judged
from loadtest.ranking.known import NotKnownError, described, learn
from loadtest.ranking.options import Plan, add_options, plan_of
from loadtest.ranking.prepared import prepare
from loadtest.ranking.report import table, write_report
from loadtest.ranking.run import Run
from loadtest.ranking.users import Line, RankingUser, clock, send_feedback, watch_loop
from loadtest.ranking.watch import Watch

log = logging.getLogger(__name__)
FINE_LOOP = "select"
"""The loop that wakes within a tenth of a millisecond; epoll's timers have whole ones."""


class _State:
    """Of this process: it makes one run at a time."""

    failed = False
    reported: Run | None = None
    feedback: Any = None
    """The green thread that sends it."""


def add_arguments(parser: Any, **_: Any) -> None:
    """Add our options."""
    add_options(parser)


def check_environment(environment: Any, **_: Any) -> None:
    """Refuse what cannot be run, before anything is."""
    if not isinstance(environment.runner, LocalRunner):
        raise SystemExit("error: --master, --worker or --processes: expected one process; start several, each its rate")
    if FINE_LOOP not in str(gevent.get_hub().loop):
        log.warning("requests may begin a millisecond late: set GEVENT_BACKEND=%s before locust starts", FINE_LOOP)


def start(environment: Any, **_: Any) -> None:
    """Learn what the service knows, make the requests, begin."""
    _State.failed, RankingUser.current = False, None
    try:
        plan = plan_of(environment.parsed_options, environment.host)
        run = _prepared_run(plan)
    except (ValueError, NotKnownError) as error:
        log.error("error: %s", error)  # noqa: TRY400 - one line, the reader needs no traceback
        _State.failed, environment.process_exit_code = True, int(Verdict.NOT_STARTED)
        return
    RankingUser.current = run
    gevent.spawn(watch_loop, run)
    _State.feedback = gevent.spawn(send_feedback, run, environment)


def _prepared_run(plan: Plan) -> Run:
    began_s = clock()
    line = Line(plan.site, plan.timeout_s)
    known = learn(line.get)
    line.close()
    host = f"{plan.site.host}:{plan.site.port}"
    requests = prepare(known, plan.traffic, host, plan.path)
    log.info("%s: %d requests made in %.1f s", described(known), len(requests), clock() - began_s)
    gc.collect()
    gc.freeze()  # what lives as long as the run is not looked at again while requests are timed
    pid = plan.server_pid
    watch = Watch(len(plan.stages), time.process_time, (lambda: math.nan) if pid is None else (lambda: cpu_s(pid)))
    return Run(plan, requests, watch, clock())


class StagesShape(LoadTestShape):
    """All users from the first instant, who themselves know when it is their turn; ends when the stages are over.

    locust asks a shape once a second: users who came by its ticks would come up to a second late.
    """

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """Users and how many of them to start a second; None to end."""
        if _State.failed:
            return None
        run = RankingUser.current
        if run is not None and run is not _State.reported:
            return None if run.over(clock()) else self._all(run.plan)
        try:
            environment: Any = getattr(self.runner, "environment", None)
            return self._all(plan_of(environment.parsed_options, environment.host))
        except ValueError:  # which the start of the run will tell
            return 1, 1.0

    @staticmethod
    def _all(plan: Plan) -> tuple[int, float]:
        return plan.users, float(plan.users)


def finish(environment: Any, **_: Any) -> None:
    """Say what came of the run, and set the exit status."""
    run = RankingUser.current
    if run is None or run is _State.reported:
        return
    _State.reported, run.ended = run, True
    _State.feedback.join(timeout=run.plan.timeout_s)
    figures = run.figures(clock())
    verdict, reasons = judged(figures, run.plan.budget)
    environment.process_exit_code = int(verdict)
    table(run.plan, figures, verdict, reasons)
    if run.plan.report:
        for path in write_report(
            Path(run.plan.report), run.plan, run.figures(clock(), measured=False), verdict, reasons
        ):
            log.info("wrote %s", path)


def register(events: Any) -> None:
    """Listen to locust's events."""
    events.init_command_line_parser.add_listener(add_arguments)
    events.init.add_listener(check_environment)
    events.test_start.add_listener(start)
    events.test_stop.add_listener(finish)
    events.quitting.add_listener(finish)  # of a run that a signal ends: the exit status is read after this
