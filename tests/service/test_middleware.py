from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from service.metrics import Metrics
from service.middleware import BodyLimit, Observe

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient

JSON = {"content-type": "application/json"}
BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]}


@pytest.mark.parametrize("given", ["abc", "a-b_c.d:e", "x" * 128])
def test_a_safe_request_id_is_returned(client: Client, given: str) -> None:
    assert client.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a;b", 'a"', "é", "../x"])
def test_an_unsafe_request_id_is_replaced(client: Client, given: str) -> None:
    found = client.get("/healthz", headers={b"x-request-id": given.encode("latin-1")}).headers["x-request-id"]
    assert found != given
    assert len(found) == 32


def test_made_ids_differ(client: Client) -> None:
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(20)}) == 20


def test_an_announced_body_over_the_limit_is_413_before_it_is_read(open_client: OpenClient) -> None:
    client = open_client(max_body_bytes=100)
    read = 0

    async def send() -> list[dict]:
        messages: list[dict] = []

        async def receive() -> dict:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": b"x" * 50, "more_body": True}

        async def keep(message: dict) -> None:
            messages.append(message)

        headers = [(b"content-type", b"application/json"), (b"content-length", b"101")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}
        await client.app(scope, receive, keep)
        return messages

    start, body = client.run(send())
    assert start["status"] == 413
    assert read == 0
    assert (b"connection", b"close") in start["headers"]
    assert b"body-too-large" in body["body"]


def test_a_streamed_body_is_413_as_soon_as_it_is_over_the_limit(open_client: OpenClient) -> None:
    """No Content-Length: the limit is counted on the chunks, and the rest is not read."""
    client = open_client(max_body_bytes=100)
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 30

    response = client.post("/predict", content=chunks(), headers=JSON)
    assert "content-length" not in response.request.headers
    assert response.status_code == 413
    assert response.json()["type"].endswith("body-too-large")
    assert response.headers["connection"] == "close"
    assert response.headers["content-type"] == "application/problem+json"
    assert sent <= 5


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_of_exactly_the_limit_is_read(open_client: OpenClient, streamed: bool) -> None:
    client = open_client(max_body_bytes=200)

    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        yield body[:100]
        yield body[100:]

    for size, status in ((200, 422), (201, 413)):
        body = b"[" + b" " * (size - 2) + b"]"
        response = client.post("/predict", content=chunks(body) if streamed else body, headers=JSON)
        assert response.status_code == status


@pytest.mark.parametrize("announced", ["9" * 5000, "0" * 30 + "101"])
def test_a_monstrous_content_length_is_413(open_client: OpenClient, announced: str) -> None:
    client = open_client(max_body_bytes=100)
    response = client.post("/predict", content=b"{}", headers={**JSON, "content-length": announced})
    assert response.status_code == 413


def test_requests_are_timed_by_route_template_arm_and_class(open_client: OpenClient) -> None:
    client = open_client()
    client.post("/predict", json=BODY)
    client.post("/teacher/predict", json=BODY)
    client.post("/predict", json={})
    client.get("/nope")
    client.get("/predict")

    def count(**labels: str) -> float:
        return client.metric("ctr_request_duration_seconds_count", **labels)

    assert count(route="/predict", arm="student", status_class="2xx") == 1
    assert count(route="/teacher/predict", arm="teacher", status_class="2xx") == 1
    assert count(route="/predict", arm="student", status_class="4xx") == 1
    assert count(route="unmatched", arm="none", status_class="4xx") == 1
    assert count(route="/predict", arm="none", status_class="4xx") == 1
    assert client.metric("ctr_inflight") == 0


def _run(app: ASGIApp, scope: dict | None = None) -> list[dict]:
    messages: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.disconnect"}

    async def keep(message: dict) -> None:
        messages.append(message)

    asyncio.run(app({"type": "http", "headers": [], **(scope or {})}, receive, keep))
    return messages


def test_requests_under_way_are_counted() -> None:
    metrics = Metrics()
    seen: list[float | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(metrics.registry.get_sample_value("ctr_inflight"))

    _run(Observe(app, metrics))
    assert seen == [1.0]
    assert metrics.registry.get_sample_value("ctr_inflight") == 0.0


def test_a_client_that_leaves_is_no_server_error() -> None:
    metrics = Metrics()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    assert _run(Observe(app, metrics)) == []
    labels = {"route": "unmatched", "arm": "none", "status_class": "4xx"}
    assert metrics.registry.get_sample_value("ctr_request_duration_seconds_count", labels) == 1.0


def test_a_failure_after_the_answer_began_reaches_the_server() -> None:
    """A second answer cannot be sent; only the server can still break the connection."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        _run(Observe(app, Metrics()))


@pytest.mark.parametrize("layer", [lambda app: Observe(app, Metrics()), lambda app: BodyLimit(app, 1)])
def test_what_is_not_http_passes_through(layer: Callable[[ASGIApp], ASGIApp]) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    _run(layer(app), {"type": "lifespan"})
    assert seen == ["lifespan"]


def test_no_file_of_the_service_uses_the_frameworks_middleware_base_class() -> None:
    """It costs 75 µs per request and layer."""
    import service.middleware  # noqa: PLC0415

    root = Path(str(service.middleware.__file__)).parent
    assert not [path for path in root.rglob("*.py") if "BaseHTTPMiddleware" in path.read_text()]
