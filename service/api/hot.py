"""Hot paths: predict and infer, answered before the router is asked and without request or response objects.

Measured with 23 fields and 200 items, the framework's own way to an endpoint costs more than reading the request does.
What stands around a hot path is the same pure ASGI middleware as around every other route; FastAPI's routes of the same
paths document them and answer the few calls that come by another name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import ProblemError, to_response

Headers = tuple[tuple[bytes, bytes], ...]

JSON = "application/json"
JSON_HEADERS: Headers = ((b"content-type", JSON.encode()),)


class Answer(NamedTuple):
    """The body of a 200 and its headers but for the length."""

    content: bytes
    headers: Headers = JSON_HEADERS

    def response(self) -> Response:
        """The same as the framework's response."""
        names = {name.decode(): value.decode() for name, value in self.headers}
        return Response(self.content, headers=names)


Endpoint = Callable[[Scope, bytes], Awaitable[Answer]]
"""The scope of a request and its whole body → the answer; raises ProblemError."""


@dataclass(frozen=True, slots=True)
class HotPath:
    """An endpoint and the template of the route it stands for, the label of its metrics."""

    path: str
    endpoint: Endpoint


class HotPaths:
    """Answers POST requests to the paths in `paths`, looked up anew for each, and passes on everything else.

    Args:
        app: what everything else is passed on to.
        paths: path → what answers it.
        received: told the scope of every request that is answered and the seconds until its body was there.
    """

    def __init__(
        self,
        app: ASGIApp,
        paths: Mapping[str, HotPath],
        received: Callable[[Scope, float], None] = lambda _scope, _seconds: None,
    ) -> None:
        self._app = app
        self._paths = paths
        self._received = received

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a hot path, or pass the request on."""
        hot = self._paths.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if hot is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = hot
        began = perf_counter()
        try:
            body = await _body(receive)
            received_s = perf_counter() - began
            answer = await hot.endpoint(scope, body)
        except ProblemError as problem:
            await to_response(problem, scope["path"])(scope, receive, send)
            return
        self._received(scope, received_s)
        length = (b"content-length", b"%d" % len(answer.content))
        await send({"type": "http.response.start", "status": 200, "headers": [*answer.headers, length]})
        await send({"type": "http.response.body", "body": answer.content})


async def answered(endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint to a request that came through the router; raises ProblemError."""
    answer = await endpoint(request.scope, await request.body())
    return answer.response()


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


async def _body(receive: Receive) -> bytes:
    """The whole body; raises ClientDisconnect when the client leaves before it is sent."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)
