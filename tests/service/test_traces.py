"""Traces as a collector gets them: protobuf over HTTP, from the service's own exporter."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service import logs, traces
from service.app import VERSION, create_app
from service.bundle import Ids
from service.middleware import Observe
from service.scoring import Logits, OnnxScorer
from service.settings import Settings

if TYPE_CHECKING:
    from tests.conftest import OpenClient

BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i1", "i2", "i3"]}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "ours=1"}


class Collector:
    """Keeps what is posted to it; what it cannot read fails the test that asks."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.paths.append(self.path)
                collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def resources(self) -> list[dict[str, Any]]:
        exports = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [attributes(sent.resource) for export in exports for sent in export.resource_spans]

    def spans(self) -> list[Span]:
        exports = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for export in exports
            for sent in export.resource_spans
            for scope in sent.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, name: str, trace: bytes | None = None) -> Span:
        """The first span of this name and trace; services export every few seconds."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for span in self.spans():
                if span.name == name and trace in (None, span.trace_id):
                    return span
            time.sleep(0.02)
        raise AssertionError(f"no span {name} within 30 s, only {[span.name for span in self.spans()]}")


def attributes(carrier: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in carrier.attributes}


def by_name(spans: list[Span]) -> dict[str, Span]:
    named = {span.name: span for span in spans}
    assert len(named) == len(spans)
    return named


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    running = Collector()
    yield running
    running.close()


Traced = Callable[..., list[Span]]


@pytest.fixture
def traced(bundles: Path, collector: Collector, open_client: OpenClient) -> Traced:
    """The spans of one request to an app that lives as long as it."""

    def ask(
        path: str = "/predict",
        *,
        headers: dict[str, str] | None = None,
        json: Any = BODY,
        scorers: dict[str, Any] | None = None,
        before: Callable[[Any], None] = lambda _client: None,
        **settings: Any,
    ) -> list[Span]:
        client = open_client(scorers, **{"traces": collector.url, "traces_ratio": 1.0, **settings})
        before(client)
        client.post(path, json=json, headers=headers)
        client.run(client._lifespan.__aexit__(None, None, None))
        client._lifespan = client.app.router.lifespan_context(client.app)
        client.open()
        return collector.spans()

    return ask


def test_a_request_is_a_server_span_by_its_route(traced: Traced, collector: Collector) -> None:
    spans = by_name(traced("/student/predict", headers={"x-request-id": "r-1"}))
    server = spans["POST /student/predict"]
    assert server.kind == Span.SPAN_KIND_SERVER
    assert server.parent_span_id == b""
    expected = {
        "http.request.method": "POST",
        "http.route": "/student/predict",
        "http.response.status_code": 200,
        "url.path": "/student/predict",
        "url.scheme": "http",
        "ctr.request_id": "r-1",
        "ctr.arm": "student",
        "ctr.candidates": 3,
    }
    assert expected.items() <= attributes(server).items()
    [resource] = collector.resources()
    assert resource["service.name"] == "kd-dagfm-serving"
    assert resource["service.version"] == VERSION
    assert collector.paths == ["/v1/traces"]


@pytest.mark.parametrize(
    ("arm", "stages"),
    [("student", ["read", "infer", "respond"]), ("teacher", ["read", "queue", "infer", "respond"])],
)
def test_its_stages_lie_within_it_one_after_another(traced: Traced, arm: str, stages: list[str]) -> None:
    spans = by_name(traced(f"/{arm}/predict"))
    server = spans.pop(f"POST /{arm}/predict")
    assert sorted(spans) == sorted(stages)
    times = [server.start_time_unix_nano]
    for stage in stages:
        assert spans[stage].parent_span_id == server.span_id
        assert spans[stage].trace_id == server.trace_id
        times += [spans[stage].start_time_unix_nano, spans[stage].end_time_unix_nano]
    slack = 2000  # ns: the SDK's clock begins the first, two clocks are put together for the others
    assert all(
        before <= after + slack for before, after in zip(times, [*times[1:], server.end_time_unix_nano], strict=True)
    )
    assert abs(server.start_time_unix_nano - time.time_ns()) < 60e9


def test_the_callers_trace_goes_on(traced: Traced) -> None:
    server = by_name(traced(headers=SAMPLED, traces_ratio=0.0))["POST /predict"]
    assert server.trace_id.hex() == TRACE
    assert server.parent_span_id.hex() == PARENT
    assert server.trace_state == "ours=1"


def test_the_caller_decides_what_is_sampled_and_otherwise_the_ratio_does(traced: Traced) -> None:
    assert not traced(headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert not traced(traces_ratio=0.0)
    assert traced(headers={"traceparent": "garbage"})


def test_a_request_that_nothing_matches_has_no_path_in_its_name(traced: Traced) -> None:
    [span] = traced("/nowhere/user-42")
    assert span.name == "POST"
    assert "http.route" not in attributes(span)
    assert attributes(span)["http.response.status_code"] == 404
    assert span.status.code == Status.STATUS_CODE_UNSET


class Broken(OnnxScorer):
    broken = False

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        if self.broken:
            raise RuntimeError("the runtime broke on user u3")
        return super().score(context_ids, candidate_ids)


def test_a_failure_is_an_error_and_says_which_stage(traced: Traced) -> None:
    def break_it(client: Any) -> None:
        client.app.service_state.arms["student"].model.scorer.broken = True

    spans = by_name(traced(scorers={"student": Broken}, before=break_it))
    server, score = spans["POST /predict"], spans["score"]
    assert (server.status.code, attributes(server)["error.type"]) == (Status.STATUS_CODE_ERROR, "500")
    assert (score.status.code, attributes(score)["error.type"]) == (Status.STATUS_CODE_ERROR, "RuntimeError")


@pytest.fixture
def far(bundles: Path, collector: Collector) -> Iterator[int]:
    """The port of a service with the teacher's bundle, which traces what it is told to and all that it may."""
    settings = Settings(student_bundle=bundles / "teacher", teacher_bundle=None, traces=collector.url, traces_ratio=1.0)
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, lifespan="on", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)


def test_another_service_continues_the_trace(far: int, collector: Collector, traced: Traced) -> None:
    """Both ends are this service, both export to one collector."""
    url = f"http://127.0.0.1:{far}/student/predict"
    traced("/teacher/predict", arms={"teacher": url})
    names = ["POST /teacher/predict", "POST", "POST /student/predict"]
    asking, client, answering = (collector.wait_for(name) for name in names)
    assert asking.trace_id == client.trace_id == answering.trace_id
    assert (client.parent_span_id, answering.parent_span_id) == (asking.span_id, client.span_id)
    assert client.kind == Span.SPAN_KIND_CLIENT
    assert attributes(client)["server.port"] == far
    assert attributes(client)["url.full"] == url


def test_another_service_does_not_draw_again(far: int, collector: Collector, traced: Traced) -> None:
    url = f"http://127.0.0.1:{far}/student/predict"
    traced("/teacher/predict", arms={"teacher": url}, traces_ratio=0.0)
    traced("/teacher/predict", arms={"teacher": url})
    asking = collector.wait_for("POST /teacher/predict")
    answering = collector.wait_for("POST /student/predict", asking.trace_id)
    there = [span for span in collector.spans() if span.name == "POST /student/predict"]
    assert there == [answering]  # the first request's would have been exported before it


def test_another_service_that_is_gone_is_an_error_of_its_span(traced: Traced) -> None:
    spans = by_name(traced("/teacher/predict", arms={"teacher": "http://me:secret@127.0.0.1:9/predict"}))
    assert attributes(spans["POST"])["error.type"] == "unreachable"
    assert "secret" not in attributes(spans["POST"])["url.full"]


def test_a_collector_that_is_down_is_felt_by_no_request(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "FLUSH_S", 0.2)
    client = open_client(traces="http://127.0.0.1:9/v1/traces", traces_ratio=1.0)
    for _ in range(50):
        assert client.post("/predict", json=BODY).status_code == 200
    threads = {thread.name for thread in threading.enumerate()}
    assert "OtelBatchSpanRecordProcessor" in threads
    client.run(client._lifespan.__aexit__(None, None, None))  # ends, though nobody takes the spans
    assert any(record.name.startswith("opentelemetry") for record in caplog.records)
    client._lifespan = client.app.router.lifespan_context(client.app)
    client.open()


def test_what_is_logged_within_a_trace_names_it(traced: Traced, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    class Looking(OnnxScorer):
        def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
            seen.append((logs.CURRENT.get() or {}).get(logs.TRACE_KEY))
            return super().score(context_ids, candidate_ids)

    traced(headers=SAMPLED, scorers={"student": Looking})
    assert seen[-1] == TRACE


def test_nothing_that_traces_is_imported_where_there_are_no_traces() -> None:
    """opentelemetry-api is: FastAPI imports it. The SDK, the exporter and protobuf are not."""
    program = (
        "import sys; from service.app import create_app; from service.settings import Settings;"
        "create_app(Settings(slow_ms=1.0)); create_app(Settings());"
        "heavy = ('opentelemetry.sdk', 'opentelemetry.exporter', 'opentelemetry.proto', 'google.', 'service.traces');"
        "print(sorted(name for name in sys.modules if name.startswith(heavy)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"


def test_without_traces_the_outermost_layer_is_the_one_that_observes(open_client: OpenClient) -> None:
    assert type(open_client().app._outermost) is Observe
