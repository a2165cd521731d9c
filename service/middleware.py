"""Pure ASGI middleware: request id, timing and last-resort errors (`Observe`), body limit (`BodyLimit`).

Never the framework's base class for middleware: it costs 75 µs per request and layer, these cost under 1.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from secrets import token_bytes
from time import perf_counter
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import AccessLog
from service.api.hot import header
from service.api.problems import Problem, ProblemError, to_response
from service.api.requests import REQUEST_ID
from service.logs import CALL_KEY, CURRENT
from service.metrics import NO_ARM, UNMATCHED, Metrics

HEADER = b"x-request-id"
_CLIENT_CLOSED = 499
_SERVER_ERROR = 500
_MAX_LENGTH_DIGITS = 19
_CLASSES = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Call:
    """What middleware and route tell each other about one request."""

    request_id: str
    """Returned in the header X-Request-Id; a route replaces it by the one in the body."""
    arm: str = NO_ARM
    """The arm that answers; a route sets it."""


def call_of(scope: Scope) -> Call:
    """The call of a request that came through `Observe`."""
    call: Call = scope[CALL_KEY]
    return call


class Observe:
    """Gives every request an id, times it into ctr_request_duration_seconds, and answers 500 for what nobody caught.

    Args:
        app: what answers.
        metrics: what counts.
        access: is told of requests that were slow or failed.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, access: AccessLog | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._access = access or AccessLog(None)
        self._slow_s = self._access.slow_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and see its answer through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        call = scope[CALL_KEY] = Call(_accepted_id(scope) or token_bytes(16).hex())
        CURRENT.set(scope)  # not reset: the context is this request's own task's
        status = 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, call.request_id.encode())]
            await send(message)

        self._metrics.inflight.inc()
        try:
            await self._app(scope, receive, send_observed)
        except ClientDisconnect:
            logger.debug("the client closed the connection")
        except Exception:
            logger.exception("the request failed")
            if status:
                raise  # the answer has begun: only the server can still break the connection
            await to_response(_INTERNAL, scope["path"])(scope, receive, send_observed)
        finally:
            self._metrics.inflight.dec()
            route = route_of(scope)
            timer = self._metrics.request_timer(route, call.arm, _CLASSES[(status or _CLIENT_CLOSED) // 100])
            took = perf_counter() - started
            timer.observe(took)
            if took >= self._slow_s or status >= _SERVER_ERROR:
                self._access.note(scope, route, status, started, took)


class BodyLimit:
    """Answers 413 before a body over the limit is read whole, whether its length was announced or not."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that cannot grow over the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = header(scope, b"content-length")
        if announced is not None and _exceeds(announced, self._max_body_bytes):
            error = self._too_large(f"{announced[:_MAX_LENGTH_DIGITS].decode('latin-1')} bytes announced")
            await to_response(error, scope["path"])(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise self._too_large(f"over {self._max_body_bytes} bytes, the rest unread")
            return message

        await self._app(scope, receive_counted, send)

    def _too_large(self, got: str) -> ProblemError:
        expected = f"at most {self._max_body_bytes} bytes"
        detail = f"the body has {got}, expected {expected}; split the request"
        # The rest of the body stays unread, so the connection cannot serve another request.
        return ProblemError(Problem.BODY_TOO_LARGE, detail, got=got, expected=expected, headers={"connection": "close"})


_INTERNAL = ProblemError(
    Problem.INTERNAL, "the service failed on this request; its log has the reason under the X-Request-Id returned"
)


def _exceeds(announced: bytes, limit: int) -> bool:
    """Whether a Content-Length is over the limit; one that is no plain number is left to the server to refuse."""
    if not announced.isdigit():
        return False
    return len(announced.lstrip(b"0")) > _MAX_LENGTH_DIGITS or int(announced) > limit


def _accepted_id(scope: Scope) -> str | None:
    """The caller's request id if it is safe to return and to log."""
    value = header(scope, HEADER)
    if value is None:
        return None
    text = value.decode("latin-1")
    return text if REQUEST_ID.fullmatch(text) else None


def route_of(scope: Scope) -> str:
    """The template of the matched route: a closed set, unlike paths."""
    route: Any = scope.get("route")
    return UNMATCHED if route is None else str(getattr(route, "path", UNMATCHED))
