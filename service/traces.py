"""Traces by OpenTelemetry, where CTR_TRACES names a collector: the extra `otel`; nobody imports this file otherwise.

A span per request under the caller's (W3C traceparent), with http.* names, and below it what the service did: `read`
(head to ids), `queue`, `infer`, `respond`, and a client span, passed on, for every other service asked. Only the
server and client spans are made while the request runs; the others are written from notes when it has been answered.
Exporting is a thread's, behind a bounded queue which drops: a collector that is down or slow is felt by nobody.

Source: opentelemetry.io, "Semantic conventions for HTTP spans", "Trace Context" (W3C), and the SDK's environment
variables, of which OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME and OTEL_BSP_* hold here.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import random
from secrets import token_hex
from threading import Thread
from time import perf_counter_ns, time_ns
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import CALL_KEY, CURRENT, TRACE_KEY
from service.metrics import NO_ARM, UNMATCHED
from service.middleware import Call, route_of
from service.noted import Note, NotedRemote, notes_of
from service.remote import RemoteAnswer, RemoteError

SERVICE = "kd-dagfm-serving"
EXPORT_S = 5.0
"""Seconds after which the exporter's thread gives up on a batch."""
FLUSH_S = 3.0
"""Seconds in which a service that stops may send what it still has."""
_CONTEXT_KEY = "ctr.trace"
_CARRIED = (b"traceparent", b"tracestate")
_SERVER_ERROR = 500
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_propagator = TraceContextTextMapPropagator()


class Traces:
    """The traces of one app.

    Args:
        endpoint: URL that batches of spans are posted to.
        ratio: share of the requests to trace whose caller has not decided.
        version: of this service.
    """

    def __init__(self, endpoint: str, ratio: float, version: str) -> None:
        self._endpoint = endpoint
        self._ratio = ratio
        instance = f"{socket.gethostname()}-{os.getpid()}"
        ours = {"service.name": SERVICE, "service.version": version, "service.instance.id": instance}
        given = OTELResourceDetector().detect().attributes  # of the environment, which wins
        self._provider = TracerProvider(
            resource=Resource.create({**ours, **given}),
            sampler=ParentBased(ALWAYS_ON),
            shutdown_on_exit=False,
        )
        self._tracer = self._provider.get_tracer("service", version)

    def around(self, app: ASGIApp) -> ASGIApp:
        """The app, its requests traced."""
        return Traced(app, self._tracer, self._ratio)

    def remote(self, name: str, url: str, **limits: Any) -> TracedRemote:
        """What asks another service, and tells it of the trace."""
        return TracedRemote(name, url, tracer=self._tracer, **limits)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While inside, spans are exported; what is left at the end is, unless the collector takes FLUSH_S."""
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(self._endpoint, timeout=EXPORT_S)))
        try:
            yield
        finally:
            last = Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
            last.start()
            await asyncio.to_thread(last.join, FLUSH_S)


class Traced:
    """Makes a span of every HTTP request that is sampled.

    Whether one without a trace is, a draw decides before OpenTelemetry is asked, whose way to the same "no" takes
    16 µs.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer, ratio: float) -> None:
        self._app = app
        self._tracer = tracer
        self._ratio = ratio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell of it once it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carried = _carried(scope)
        if not carried and random() >= self._ratio:  # noqa: S311 - a sample, no secret
            await self._app(scope, receive, send)
            return
        context = _propagator.extract(carried)
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        span = self._tracer.start_span(method, context, SpanKind.SERVER, {"http.request.method": method})
        scope[_CONTEXT_KEY] = inside = set_span_in_context(span, context)
        if not span.is_recording():
            await self._app(scope, receive, send)
            return
        scope[TRACE_KEY] = f"{span.get_span_context().trace_id:032x}"
        await self._record(scope, receive, send, Recorded(span, self._tracer, inside))

    async def _record(self, scope: Scope, receive: Receive, send: Send, recorded: Recorded) -> None:
        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                recorded.answered(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except BaseException as error:
            recorded.span.set_attribute("error.type", type(error).__name__)
            recorded.span.set_status(StatusCode.ERROR)
            raise
        finally:
            recorded.end(scope)


class Recorded:
    """One request on its way into a trace."""

    def __init__(self, span: Span, tracer: Tracer, context: Context) -> None:
        self.span = span
        self._tracer = tracer
        self._context = context
        self._started_ns = perf_counter_ns()
        self._epoch_ns = time_ns() - self._started_ns
        self._answered_ns = 0

    def answered(self, status: int) -> None:
        """Note when the answer began."""
        self._answered_ns = perf_counter_ns()
        self.span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERROR:
            self.span.set_attribute("error.type", str(status))
            self.span.set_status(StatusCode.ERROR)

    def end(self, scope: Scope) -> None:
        """Write the spans of the stages and end the request's own."""
        notes = notes_of(scope)
        route = route_of(scope)
        self.span.set_attributes(_attributes(scope, notes))
        if route != UNMATCHED:
            self.span.set_attribute("http.route", route)
            self.span.update_name(f"{scope['method']} {route}")
        if notes:
            self._stage("read", self._started_ns, _ns(notes[0].started))
            for note in notes:
                self._scored(note)
            self._stage("respond", _ns(notes[-1].ended), self._answered_ns or _ns(notes[-1].ended))
        self.span.end()

    def _scored(self, note: Note) -> None:
        """Spans of a lane; another service has its client span already."""
        if note.remote:
            return
        attributes: dict[str, Any] = {"ctr.arm": note.arm, "ctr.candidates": note.candidates}
        if note.failed is not None:
            failed = {**attributes, "error.type": note.failed}
            self._stage("score", _ns(note.started), _ns(note.ended), failed)
            return
        began = _ns(note.started)
        for stage, seconds in note.stages().items():
            self._stage(stage, began, began + _ns(seconds), attributes)
            began += _ns(seconds)

    def _stage(self, name: str, began: int, ended: int, attributes: Mapping[str, Any] | None = None) -> None:
        span = self._tracer.start_span(
            name, self._context, attributes=attributes or {}, start_time=self._epoch_ns + began
        )
        if attributes is not None and "error.type" in attributes:
            span.set_status(StatusCode.ERROR)
        span.end(self._epoch_ns + ended)


class TracedRemote(NotedRemote):
    """Another service that is told of the trace; takes the arguments of `Remote`, and the tracer."""

    def __init__(self, name: str, url: str, *, tracer: Tracer, **limits: Any) -> None:
        super().__init__(name, url, **limits)
        self._tracer = tracer
        address = urlsplit(url)
        self._attributes: dict[str, str | int] = {
            "http.request.method": "POST",
            "server.address": address.hostname or "",
            "server.port": address.port or {"http": 80, "https": 443}[address.scheme],
            "url.full": address._replace(netloc=address.netloc.rpartition("@")[2]).geturl(),
            "ctr.arm": name,
        }

    async def ask(self, body: bytes, candidates: int, request_id: str) -> RemoteAnswer:
        """What the remote model says of a request with so many candidates; raises RemoteError."""
        context = (CURRENT.get() or {}).get(_CONTEXT_KEY)
        if context is None:
            return await super().ask(body, candidates, request_id)
        span = self._tracer.start_span("POST", context, SpanKind.CLIENT, self._attributes)
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                return await super().ask(body, candidates, request_id)
            except RemoteError as error:
                span.set_attribute("error.type", error.reason)
                span.set_status(StatusCode.ERROR)
                raise

    def headers(self, request_id: str) -> dict[str, str]:
        """With the trace that the request belongs to, or that it belongs to none: decided here, not there again."""
        headers = super().headers(request_id)
        _propagator.inject(headers)
        headers.setdefault("traceparent", f"00-{token_hex(16)}-{token_hex(8)}-00")
        return headers


def _carried(scope: Scope) -> dict[str, str]:
    """The headers that carry a trace."""
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIED}


def _attributes(scope: Scope, notes: list[Note]) -> dict[str, Any]:
    """What is known of a request once it was answered."""
    call: Call | None = scope.get(CALL_KEY)
    host, port = scope.get("server") or ("", None)
    attributes = {
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope.get("http_version", ""),
        "server.address": host,
    }
    if port is not None:
        attributes["server.port"] = port
    if call is not None:
        attributes["ctr.request_id"] = call.request_id
        if call.arm != NO_ARM:
            attributes["ctr.arm"] = call.arm
    if notes:
        attributes["ctr.candidates"] = notes[0].candidates
    return attributes


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
