"""POST /predict under a document of experiments: assign, log the exposure, ask the arm, fall back where it fails.

The exposure is handed to the log before anything is scored: an arm that is slow or dead by nature would otherwise lose
the exposures of just those requests it failed, and the two arms would not be comparable. A request counts as valid if
the default model can read it, whatever arm it gets, for the same reason.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter
from typing import Any, NamedTuple

import orjson
from starlette.types import Scope

from service.api.admin import is_admin
from service.api.answers import Probabilities, answer
from service.api.hot import Answer, header
from service.api.problems import Problem, ProblemError, shown
from service.api.requests import EncodedRequest
from service.api.respond import Scoring, count, score
from service.events.records import Answered, Exposure
from service.events.stamps import now_ms, unit_hash, uuid7
from service.experiment.assignment import Assignment
from service.experiment.live import Current
from service.experiment.running import Running
from service.middleware import Call
from service.remote import Remote, RemoteError
from service.shadow.message import AnsweredBy
from service.state import Arm, State

FORCE = b"x-arm"
"""Header that asks for an arm by its name."""

logger = logging.getLogger(__name__)


class Answering(NamedTuple):
    """What answers a request."""

    answered_by: AnsweredBy
    probabilities: Probabilities
    """[N] float32."""
    fallback: bool
    """Whether the default model answers in place of the arm's own."""
    scoring: Scoring | None
    """What is to be counted; None where another service scored, and counted."""


class Asked(NamedTuple):
    """One request on its way to a model."""

    body: bytes
    decoded: Mapping[str, Any]
    encoded: EncodedRequest
    """As the default model reads it."""
    request_id: str


class AssignedPredict:
    """Answers /predict while there is an experiment."""

    def __init__(self, state: State, running: Running) -> None:
        self._state = state
        self._running = running

    async def __call__(self, scope: Scope, call: Call, body: bytes, decoded: dict[str, Any], received: float) -> Answer:
        """The answer to one decoded request that was received at `received` (`perf_counter`); raises ProblemError."""
        decoded_at = perf_counter()
        current = self._running.live.current
        default = self._state.arm(current.document.default)
        encoded = default.model.reader.encode(decoded)
        call.request_id = encoded.request_id or call.request_id
        asked = Asked(body, decoded, encoded, call.request_id)
        encoded_at = perf_counter()
        given = current.assigner.assign(encoded.unit, _context(decoded), self._forced(scope, current))
        call.arm = given.arm
        exposed_ms = self._expose(asked, given, current)
        try:
            found = await self._answering(asked, given, default)
        except ProblemError as problem:
            self._log_failure(asked, problem, received, exposed=exposed_ms is not None)
            raise
        answered = self._render(asked, given, found, exposed_ms)
        if found.scoring is not None:
            count(found.scoring, decode_s=decoded_at - received, encode_s=encoded_at - decoded_at)
        latency_s = perf_counter() - received
        self._state.shadow.offer(
            body, found.probabilities, found.answered_by, latency_s=latency_s, request_id=asked.request_id
        )
        if exposed_ms is not None:
            self._log_answer(asked, found, latency_s)
        return answered

    def _forced(self, scope: Scope, current: Current) -> str | None:
        """The arm that a trusted caller asks for; anybody else's wish is counted and not heard."""
        wanted = header(scope, FORCE)
        if wanted is None:
            return None
        if not is_admin(scope, self._state.settings):
            self._running.metrics.forced("refused")
            return None
        name = wanted.decode("latin-1")
        if name not in current.assigner.arm_names:
            expected = ", ".join(sorted(current.assigner.arm_names))
            detail = f"X-Arm is {shown(name)}, expected an arm: {expected}"
            raise ProblemError(Problem.UNKNOWN_ARM, detail, field="X-Arm", got=shown(name), expected=expected)
        self._running.metrics.forced("ok")
        return name

    def _expose(self, asked: Asked, given: Assignment, current: Current) -> int | None:
        """Log the exposure of a request that has a unit; its time, milliseconds, or None when there is none."""
        experiment = given.experiment
        name = "" if experiment is None else experiment.name
        self._running.metrics.exposed(name, given.arm, given.reason.value)
        unit = asked.encoded.unit
        if unit is None:
            return None
        ts_ms = now_ms()
        self._running.log.expose(
            Exposure(
                exposure_id=uuid7(ts_ms),
                request_id=asked.request_id,
                ts_ms=ts_ms,
                experiment=name,
                phase=0 if experiment is None else experiment.phase,
                revision=current.revision,
                unit_hash=unit_hash(unit, self._running.unit_key),
                arm=given.arm,
                propensity=given.propensity,
                reason=given.reason.value,
                n_candidates=len(asked.encoded.candidate_ids),
                unit=unit if self._state.settings.raw_units else None,
            )
        )
        return ts_ms

    async def _answering(self, asked: Asked, given: Assignment, default: Arm) -> Answering:
        """What the arm's own model answers or, where it cannot, the default one."""
        if given.model == default.name:
            return _by(await score(default, asked.encoded), fallback=False)
        try:
            return await self._ask(asked, given.model, default)
        except ProblemError as problem:
            reason = problem.problem.slug
        except RemoteError as error:
            reason = error.reason
            logger.info("fallback: %s: %s", given.model, reason)  # not what it said: that may quote the request
        except Exception:
            reason = "failed"
            logger.exception("fallback: %s failed", given.model)
        self._running.metrics.fell_back(given.arm, reason)
        return _by(await score(default, asked.encoded), fallback=True)

    async def _ask(self, asked: Asked, name: str, default: Arm) -> Answering:
        """What the model called `name` answers; raises whatever keeps it from that."""
        remote: Remote | None = self._running.remotes.get(name)
        if remote is not None:
            started = perf_counter()
            found = await remote.ask(asked.body, len(asked.encoded.candidate_ids), asked.request_id)
            self._running.metrics.waited(name, perf_counter() - started)
            return Answering(AnsweredBy(name, found.model), found.probabilities, fallback=False, scoring=None)
        arm = self._state.arm(name)
        alike = arm.model.reads_as == default.model.reads_as
        encoded = asked.encoded if alike else arm.model.reader.encode(asked.decoded)
        return _by(await score(arm, encoded), fallback=False)

    def _render(self, asked: Asked, given: Assignment, found: Answering, exposed_ms: int | None) -> Answer:
        signer, token = self._running.signer, None
        if signer is not None and exposed_ms is not None:
            token = signer.sign(asked.request_id, given.arm, exposed_ms, len(found.probabilities))
        return Answer(
            answer(
                request_id=asked.request_id,
                arm=given.arm,
                model=found.answered_by.version,
                probabilities_N=found.probabilities,
                fallback=found.fallback,
                token=token,
            )
        )

    def _log_answer(self, asked: Asked, found: Answering, latency_s: float) -> None:
        logged = self._state.settings.log_probabilities
        items = asked.decoded.get("items") if logged else None
        self._running.log.answered(
            Answered(
                request_id=asked.request_id,
                ts_ms=now_ms(),
                model=found.answered_by.version,
                fallback=found.fallback,
                status=200,
                latency_us=latency_s * 1e6,
                probabilities=found.probabilities.tobytes() if logged else b"",
                items=b"" if items is None else orjson.dumps(items),
            )
        )

    def _log_failure(self, asked: Asked, problem: ProblemError, received: float, *, exposed: bool) -> None:
        if not exposed:
            return
        latency_us = (perf_counter() - received) * 1e6
        self._running.log.answered(
            Answered(asked.request_id, now_ms(), "", False, problem.problem.status, latency_us, b"", b"")
        )


def _by(scoring: Scoring, *, fallback: bool) -> Answering:
    arm = scoring.arm
    by = AnsweredBy(arm.name, arm.model.name, arm.model.ids_digest)
    return Answering(by, scoring.probabilities, fallback, scoring)


def _context(decoded: Mapping[str, Any]) -> Mapping[str, Any]:
    """The raw context fields, for targeting; a request of ids has none."""
    context = decoded.get("context")
    return context if type(context) is dict else {}
