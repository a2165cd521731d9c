"""GET /experiment/report: the report of a phase, made by another process.

Making one takes SciPy, seconds of processor time and every event of the phase in memory: nothing of it belongs in a
process that answers predictions. A niced child makes it from the event store, one child at a time; whoever asks for the
same report meanwhile waits for the same child, and for some time after the answer is what it was.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal, NamedTuple

from fastapi import APIRouter, Request, Response

from service.api import openapi
from service.api.hot import JSON
from service.api.problems import Problem, ProblemError, shown
from service.experiment.cli import UNKNOWN
from service.multiprocess import MULTIPROCESS
from service.settings import Settings

PATH = "/experiment/report"
KEPT_S = 10.0
"""Seconds a report is answered again, or as long as four times what it took: no more than a fifth of a processor."""
LIMIT_S = 300.0
MOST_WAITING = 8
"""Different reports that are being made or waited for."""
MOST_KEPT = 32
_COMMAND = (sys.executable, "-m", "service.experiment", "report", "--niceness=10")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MOST_DIGITS = 9
_HTML = "text/html"
_TYPES = {"json": JSON, "html": f"{_HTML}; charset=utf-8"}
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "vary": "accept",
}

Form = Literal["json", "html"]
logger = logging.getLogger(__name__)


class Asked(NamedTuple):
    """One report."""

    experiment: str | None
    phase: int | None
    form: Form


@dataclass(frozen=True, slots=True)
class _Made:
    """What a child answered, and until when it holds."""

    status: int
    """0 where there is a report."""
    content: bytes
    complaint: str
    until: float


class Reports:
    """Reports made by child processes, each at most once at a time.

    Args:
        settings: where the events are.
        command: what makes a report; options that say which are appended.
    """

    def __init__(self, settings: Settings, command: Sequence[str] = _COMMAND) -> None:
        self._command = command
        self._environment = _environment(settings)
        self._one_at_a_time = asyncio.Semaphore(1)
        self._being_made: dict[Asked, asyncio.Task[_Made]] = {}
        self._made: dict[Asked, _Made] = {}

    async def get(self, asked: Asked) -> bytes:
        """The report; raises ProblemError where there is none."""
        made = self._made.get(asked)
        if made is None or made.until < monotonic():
            # Shielded: somebody who hangs up must not stop what others wait for.
            made = await asyncio.shield(self._task(asked))
        if made.status:
            raise _problem(made.status, made.complaint)
        return made.content

    def _task(self, asked: Asked) -> asyncio.Task[_Made]:
        task = self._being_made.get(asked)
        if task is None:
            if len(self._being_made) >= MOST_WAITING:
                detail = f"{MOST_WAITING} reports are being made already; ask again when one of them is done"
                raise ProblemError(Problem.NO_REPORT, detail, headers={"retry-after": "10"})
            task = self._being_made[asked] = asyncio.create_task(self._make(asked))
            task.add_done_callback(lambda _: self._being_made.pop(asked, None))
        return task

    async def _make(self, asked: Asked) -> _Made:
        async with self._one_at_a_time:
            began = monotonic()
            status, content, complaint = await self._run(asked)
        if status not in (0, UNKNOWN):
            logger.error("no report: %s", _why(status, complaint))
        made = _Made(status, content, complaint, monotonic() + max(KEPT_S, 4 * (monotonic() - began)))
        self._made.pop(asked, None)
        while len(self._made) >= MOST_KEPT:
            del self._made[next(iter(self._made))]
        self._made[asked] = made
        return made

    async def _run(self, asked: Asked) -> tuple[int, bytes, str]:
        """Exit status, standard output and standard error of a child."""
        options = [f"--{asked.form}"]
        options += [] if asked.experiment is None else [f"--experiment={asked.experiment}"]
        options += [] if asked.phase is None else [f"--phase={asked.phase}"]
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command, *options, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=self._environment
            )
        except OSError as error:
            return 1, b"", f"its process cannot be started: {error}"
        try:
            content, complaint = await asyncio.wait_for(child.communicate(), LIMIT_S)
        except TimeoutError:
            return 1, b"", f"it took more than {LIMIT_S:g} s"
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return child.returncode or 0, content, complaint.decode("utf-8", "replace")


def add_report_routes(router: APIRouter, settings: Settings) -> None:
    """Add GET /experiment/report."""
    reports = Reports(settings)

    async def report(request: Request) -> Response:
        asked = _asked(request)
        if not settings.events:
            raise ProblemError(Problem.NO_EXPERIMENTS, "CTR_EVENTS is empty: there are no events to report on")
        return Response(await reports.get(asked), media_type=_TYPES[asked.form], headers=_HEADERS)

    router.add_api_route(
        PATH,
        report,
        methods=["GET"],
        summary="What came of an experiment: verdict, effect, guardrails, split, calibration",
        description="JSON, or HTML where the client accepts that rather than JSON. Made from the event store by "
        "another process and kept for at least ten seconds.",
        openapi_extra={"parameters": _PARAMETERS},
        response_class=Response,
        responses={
            200: {"content": {JSON: {"schema": {"type": "object"}}, _HTML: {"schema": {"type": "string"}}}},
            **openapi.problem_responses(404, 422, 503),
        },
    )


_PARAMETERS = [
    {"name": name, "in": "query", "required": False, "schema": schema, "description": meaning}
    for name, schema, meaning in (
        ("experiment", {"type": "string"}, "Its name; the first in force if left out."),
        ("phase", {"type": "integer", "minimum": 1}, "Its phase; the last one if left out."),
        ("format", {"type": "string", "enum": ["json", "html"]}, "In place of the Accept header."),
    )
]


def _asked(request: Request) -> Asked:
    """What a request asks for; raises ProblemError (404, 422) where no report can be meant."""
    given = request.query_params
    experiment, phase, form = (given.get(name) or None for name in ("experiment", "phase", "format"))
    if experiment is not None and not _NAME.fullmatch(experiment):
        raise ProblemError(
            Problem.UNKNOWN_EXPERIMENT, f"experiment: got {shown(experiment)}, which no experiment is called"
        )
    if phase is not None and not (phase.isascii() and phase.isdecimal() and len(phase) <= _MOST_DIGITS):
        raise _refused("phase", phase, "a whole number from 1")
    match form:
        case None:
            accepts = request.headers.get("accept", "")
            return Asked(experiment, _number(phase), "html" if _HTML in accepts and JSON not in accepts else "json")
        case "json" | "html":
            return Asked(experiment, _number(phase), form)
        case _:
            raise _refused("format", form, "json or html")


def _number(phase: str | None) -> int | None:
    return None if phase is None else int(phase)


def _refused(field: str, value: str, expected: str) -> ProblemError:
    got = shown(value)
    detail = f"{field}: got {got}, expected {expected}"
    return ProblemError(Problem.MALFORMED_REQUEST, detail, field=field, got=got, expected=expected)


def _problem(status: int, complaint: str) -> ProblemError:
    """Why a child made no report."""
    why = _why(status, complaint)
    if status == UNKNOWN:
        return ProblemError(Problem.UNKNOWN_EXPERIMENT, why)
    return ProblemError(Problem.NO_REPORT, f"the report failed: {why}", headers={"retry-after": "10"})


def _why(status: int, complaint: str) -> str:
    """The last line of what a child said."""
    return complaint.strip().rpartition("\n")[2].removeprefix("error: ") or f"it ended with status {status}"


def _environment(settings: Settings) -> dict[str, str]:
    """The child's: this process's own settings, one thread, and none of its metrics."""
    kept = {name: value for name, value in os.environ.items() if name != MULTIPROCESS}
    ours = {"CTR_EVENTS": settings.events, "CTR_ATTRIBUTION_HOURS": repr(settings.attribution_hours)}
    return {**kept, **ours, "CTR_LOG_FORMAT": "text", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
