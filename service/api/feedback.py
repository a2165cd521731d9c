"""POST /feedback: impressions and clicks, durable before they are answered.

A request is all or nothing but for two things: an event that was stored before is a duplicate, and one with a foreign
token is refused. Both are answered event by event, so that a client which repeats a whole request after a lost answer
does no harm.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from prometheus_client import Counter
from starlette.types import Scope

from service.api import openapi
from service.api.events import TYPES, SentEvent, read_json, read_lines
from service.api.hot import JSON, Answer, HotPath, answered, header
from service.api.problems import Problem, ProblemError, shown
from service.api.schemas import FeedbackResponse
from service.events.records import FeedbackStatus
from service.events.store import StoreError, StoreFullError
from service.events.writer import EventLog
from service.experiment.tokens import TokenError, TokenSigner
from service.metrics import Metrics

PATH = "/feedback"
NDJSON = "application/x-ndjson"
FAILED = "failed"
"""Result of an event that the store could not take."""
RETRY_S = 1

_EVENT = {"request_id": "7f3c2a9e", "position": 2, "type": "click", "ts": 1760000000000}
_EXAMPLES = {
    "one": {"summary": "One event", "value": _EVENT},
    "several": {
        "summary": "Several events",
        "value": {"events": [{"request_id": "7f3c2a9e", "item": "i42", "type": "impression"}, _EVENT]},
    },
}
_LINES = "\n".join(orjson.dumps(event).decode() for event in (_EVENT, {**_EVENT, "position": 3, "type": "impression"}))


class Feedback:
    """The endpoint of POST /feedback.

    Args:
        log: gives the log that stores events; raises ProblemError where the service keeps none.
        signer: checks tokens; None when answers carry none.
        metrics: where events are counted.
    """

    def __init__(self, log: Callable[[], EventLog], signer: TokenSigner | None, metrics: Metrics) -> None:
        self._log = log
        self._signer = signer
        results = [*(status.value for status in FeedbackStatus), FAILED]
        self._counters: dict[tuple[str, str], Counter] = {
            (kind, result): metrics.feedback.labels(type=kind, result=result) for kind in TYPES for result in results
        }

    async def __call__(self, scope: Scope, body: bytes) -> Answer:
        """Store the events in a body and say what became of each; raises ProblemError."""
        log = self._log()
        sent, bare = _read(scope, body)
        refusals = self._refusals(sent)
        if sent and len(refusals) == len(sent):
            self._count(sent, [FeedbackStatus.REFUSED.value] * len(sent))
            why = refusals[0]
            raise ProblemError(Problem.TOKEN_REFUSED, f"event 0: {why}; nothing was stored", field="token", position=0)
        results = await self._store(log, sent, refusals)
        self._count(sent, results)
        return Answer(_rendered(results, bare=bare))

    def _refusals(self, sent: Sequence[SentEvent]) -> dict[int, str]:
        """Index of every event whose token proves nothing → why; raises ProblemError for one that brings none."""
        refusals: dict[int, str] = {}
        if self._signer is None:
            return refusals
        for index, (event, position, token) in enumerate(sent):
            if token is None:
                detail = f"event {index} has no token, expected the one that came with its answer; nothing was stored"
                raise ProblemError(Problem.BAD_EVENT, detail, field="token", position=index, expected="a token")
            try:
                self._signer.check(token, event.request_id, position, event.ts_server_ms)
            except TokenError as error:
                refusals[index] = f"the token is refused: {error}"
        return refusals

    async def _store(self, log: EventLog, sent: Sequence[SentEvent], refusals: dict[int, str]) -> list[str]:
        """Store what is not refused; what became of each event."""
        kept = [index for index in range(len(sent)) if index not in refusals]
        results = [FeedbackStatus.REFUSED.value] * len(sent)
        try:
            statuses = await log.feedback([sent[index].event for index in kept])
        except StoreError as error:
            self._count(sent, [FAILED] * len(sent))
            full = isinstance(error, StoreFullError)
            detail = f"{error}; nothing was stored, and the same request may be sent again"
            headers = {} if full else {"retry-after": str(RETRY_S)}
            problem = Problem.STORE_FULL if full else Problem.STORE_AWAY
            raise ProblemError(problem, detail, headers=headers) from error
        for index, status in zip(kept, statuses, strict=True):
            results[index] = status.value
        return results

    def _count(self, sent: Sequence[SentEvent], results: Sequence[str]) -> None:
        tally = Tally((event.event.type, result) for event, result in zip(sent, results, strict=True))
        for key, events in tally.items():
            self._counters[key].inc(events)


def feedback_path(log: Callable[[], EventLog], signer: TokenSigner | None, metrics: Metrics) -> HotPath:
    """What answers /feedback before the router is asked."""
    return HotPath(PATH, Feedback(log, signer, metrics))


def add_feedback_routes(router: APIRouter, hot: HotPath) -> None:
    """Document POST /feedback, and answer what does not come by the hot path."""

    async def feedback(request: Request) -> Response:
        return await answered(hot.endpoint, request)

    content = {
        JSON: {"schema": {"$ref": "#/components/schemas/FeedbackRequest"}, "examples": _EXAMPLES},
        NDJSON: {"schema": {"type": "string"}, "example": _LINES},
    }
    stored: dict[int | str, dict[str, Any]] = {200: {"model": FeedbackResponse, "description": "Stored, durably."}}
    router.add_api_route(
        PATH,
        feedback,
        methods=["POST"],
        operation_id="feedback",
        summary="Store what units did with the candidates of an answer",
        openapi_extra={"requestBody": {"required": True, "content": content}},
        responses={**stored, **openapi.problem_responses(403, 413, 415, 422, 503, 507)},
    )


def _read(scope: Scope, body: bytes) -> tuple[list[SentEvent], bool]:
    """The events of a body by its declared type, and whether it is one bare event."""
    declared = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    now_ms = time.time_ns() // 1_000_000
    if declared == JSON.encode():
        return read_json(body, now_ms)
    if declared == NDJSON.encode():
        return read_lines(body, now_ms), False
    got = shown(declared.decode("latin-1")) if declared else "no Content-Type"
    expected = f"{JSON} or {NDJSON}"
    detail = f"got {got}, expected Content-Type: {expected}"
    raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE, detail, got=got, expected=expected)


def _rendered(results: Sequence[str], *, bare: bool) -> bytes:
    tally = Tally(results)
    answer: dict[str, object] = {
        "accepted": tally["accepted"],
        "duplicates": tally["duplicate"],
        "late": tally["late"],
        "unknown": tally["unknown"],
        "refused": tally["refused"],
        "results": results,
    }
    if bare:
        answer["duplicate"] = results[0] == FeedbackStatus.DUPLICATE.value
    return orjson.dumps(answer)
