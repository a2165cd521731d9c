from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

from service.api.hot import Answer, HotPath, HotPaths
from service.app import create_app
from service.settings import Settings

IDS = {
    "inputs": [
        {"name": "context_ids", "shape": [1, 2], "datatype": "INT32", "data": [2, 2]},
        {"name": "candidate_ids", "shape": [1, 3], "datatype": "INT32", "data": [2, 2, 2]},
    ]
}
REQUEST = {"context": {"user": "u3", "hour": 13}, "items": ["i0"]}


async def echo(_scope: Scope, body: bytes) -> Answer:
    return Answer(body)


async def nothing_else(*_arguments: object) -> None:
    raise AssertionError("the router was asked")


def sent_by(*messages: Message) -> list[Message]:
    """What a hot path that echoes sends to a request of these messages."""
    waiting, sent = list(messages), []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    app = HotPaths(nothing_else, {"/echo": HotPath("/echo", echo)})
    asyncio.run(app({"type": "http", "method": "POST", "path": "/echo", "headers": []}, receive, send))
    return sent


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", REQUEST),
        ("/student/predict", REQUEST),
        ("/teacher/predict", REQUEST),
        ("/v2/models/student/infer", IDS),
        ("/v2/models/teacher/infer", IDS),
        ("/v2/models/tiny-student/infer", IDS),
        ("/v2/models/student/versions/v1/infer", IDS),
        ("/v2/models/tiny-teacher/versions/v1/infer", IDS),
    ],
)
def test_a_hot_path_is_answered_before_the_router_is_asked(bundles: Path, path: str, body: dict[str, Any]) -> None:
    app = create_app(Settings(student_bundle=bundles / "student", teacher_bundle=bundles / "teacher"))

    async def ask() -> httpx.Response:
        async with app.router.lifespan_context(app):
            app.router.routes.clear()
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                return await client.post(path, json=body)

    answer = asyncio.run(ask())
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_body_in_pieces_is_joined() -> None:
    start, body = sent_by(
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": b"c"},
    )
    assert body["body"] == b"abc"
    assert (b"content-length", b"3") in start["headers"]


def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(ClientDisconnect):
        sent_by({"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.disconnect"})


def test_an_answer_is_the_same_through_the_framework() -> None:
    answer = Answer(orjson.dumps({"a": 1}), ((b"content-type", b"application/json"), (b"x-a", b"b")))
    response = answer.response()
    assert response.body == answer.content
    assert set(answer.headers) <= set(response.raw_headers)
