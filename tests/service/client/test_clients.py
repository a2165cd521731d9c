"""Both clients against a running service and against peers that misbehave.

A late peer answers in the end, so that a client which waits too long is found out by its answer, not by a stopwatch.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import numpy as np
import pytest

import service.client
from service.client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    FeedbackEvent,
    FeedbackResult,
    Prediction,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from tests.service.client.conftest import Behave

CONTEXT = {"user": "u3", "hour": 13}
ASK: dict[str, Any] = {"context": CONTEXT, "items": ["i0", "i1"]}


class Asks(Protocol):
    """What both clients are, once the async one is waited for."""

    def predict(self, **request: Any) -> Prediction: ...
    def feedback(self, events: Any, **options: Any) -> FeedbackResult: ...
    def close(self) -> None: ...


class Awaited:
    """An AsyncClient that is waited for, on a loop of its own."""

    def __init__(self, *urls: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*urls, **options)

    def predict(self, **request: Any) -> Prediction:
        return self._runner.run(self._client.predict(**request))

    def feedback(self, events: Any, **options: Any) -> FeedbackResult:
        return self._runner.run(self._client.feedback(events, **options))

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(params=[Client, Awaited], ids=["sync", "async"])
def client_for(request: pytest.FixtureRequest) -> Iterator[Callable[..., Asks]]:
    opened: list[Asks] = []

    def make(*urls: str, **options: Any) -> Asks:
        opened.append(request.param(*urls, **{"deadline_ms": 20_000, **options}))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_every_form_of_a_request_is_answered_alike(service_url: str, client_for: Callable[..., Asks]) -> None:
    client = client_for(service_url)
    columns: dict[str, list[Any]] = {"item": ["i0", "i1"], "category": ["books", "music"], "price": [0.0, 3.0]}
    rows = [{name: column[row] for name, column in columns.items()} for row in range(2)]
    forms: list[dict[str, Any]] = [{"items": ["i0", "i1"]}, {"candidates": columns}, {"candidates": rows}]
    forms.append({"candidates": {**columns, "price": np.array([0.0, 3.0], np.float32)}})
    answers = [client.predict(context=CONTEXT, **form) for form in forms]
    assert len({tuple(answer.probabilities) for answer in answers}) == 1
    seen = {(answer.arm, answer.model, answer.fallback) for answer in answers}
    assert seen == {("student", "tiny-student@v1", False)}
    candidate_ids = {"item": np.array([2, 3]), "category": [2, 3], "price": [2, 3]}
    ids = client.predict(context_ids={"user": 2, "hour": 2}, candidate_ids=candidate_ids)
    assert len(ids.probabilities) == 2


def test_feedback_on_an_answer_is_stored_once(service_url: str, client_for: Callable[..., Asks]) -> None:
    client = client_for(service_url)
    answer = client.predict(unit="user-42", **ASK)
    events = [answer.event("impression", position=1), answer.event("click", item="i0", value=2.5)]
    assert client.feedback(events).results == ["accepted", "accepted"]
    again = client.feedback([*events, {"request_id": uuid4().hex, "type": "click", "position": 0}])
    assert (again.duplicates, again.unknown, again.results) == (2, 1, ["duplicate", "duplicate", "unknown"])


def test_a_request_keeps_the_id_it_is_given_and_gets_one_otherwise(
    service_url: str, client_for: Callable[..., Asks]
) -> None:
    client = client_for(service_url)
    assert client.predict(request_id="mine-1", **ASK).request_id == "mine-1"
    assert len(client.predict(**ASK).request_id) == 32


def test_what_is_wrong_with_a_request_is_said_by_field(service_url: str, client_for: Callable[..., Asks]) -> None:
    with pytest.raises(Refused, match="HTTP 422") as caught:
        client_for(service_url).predict(context={**CONTEXT, "colour": "red"}, items=["i0"])
    assert (caught.value.kind, caught.value.problem["field"]) == ("unknown-field", "colour")


def test_nan_is_refused_before_it_is_sent(client_for: Callable[..., Asks], peer: Any, says: Any) -> None:
    other = peer(says("200 OK"))
    with pytest.raises(ValueError, match="a missing value is None, not NaN"):
        client_for(other.url).predict(context={"hour": float("nan")}, items=["i0"])
    with pytest.raises(TypeError, match="got set, expected str, int"):
        client_for(other.url).predict(context={"hour": {1}}, items=["i0"])
    assert other.requests == []


def test_one_connection_answers_call_after_call(client_for: Callable[..., Asks], peer: Any, says: Any) -> None:
    other = peer(says("200 OK"))
    client = client_for(other.url)
    for _ in range(50):
        client.predict(**ASK)
    assert (len(other.requests), other.connections) == (50, 1)


def test_threads_share_a_client_and_open_no_more_connections_than_allowed(peer: Any, says: Any) -> None:
    other = peer(says("200 OK"))
    with Client(other.url, deadline_ms=20_000, connections=3) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.predict(**ASK), range(200)))
    assert len(answers) == len(other.requests) == 200
    assert other.connections <= 3


@pytest.mark.parametrize("name", ["hangs", "drips its head", "drips its body"])
def test_a_deadline_holds_for_the_whole_call(
    client_for: Callable[..., Asks], peer: Any, misbehaviours: dict[str, Behave], name: str
) -> None:
    """The peers do answer in the end, and none is silent for long but the one that hangs."""
    other = peer(misbehaviours[name])
    with pytest.raises(DeadlineExceeded, match="no answer within 150 ms"):
        client_for(other.url, deadline_ms=150).predict(**ASK)
    assert len(other.requests) == 1


@pytest.mark.parametrize("name", ["drips its head", "drips its body"])
def test_a_deadline_holds_under_tls_too(  # noqa: PLR0917 - fixtures
    client_for: Callable[..., Asks],
    peer: Any,
    says: Any,
    misbehaviours: dict[str, Behave],
    tls: ssl.SSLContext,
    name: str,
) -> None:
    other = peer(says("200 OK"), misbehaviours[name], tls=tls)
    client = client_for(other.url)
    assert client.predict(**ASK).model == "peer@1"
    with pytest.raises(DeadlineExceeded, match="no answer within 150 ms"):
        client.predict(**ASK, deadline_ms=150)
    assert other.connections == 1


def test_a_deadline_holds_while_a_connection_is_neither_made_nor_refused(
    client_for: Callable[..., Asks], peer: Any, says: Any
) -> None:
    """The peer's queue is full until it accepts, late; it would then answer."""
    other = peer(says("200 OK"), backlog=0, accepts_after_s=2.0)
    with socket.socket() as first, socket.socket() as second:
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(other.address)
        with pytest.raises(DeadlineExceeded):
            client_for(other.url, deadline_ms=150).predict(**ASK)
        assert other.connections == 0, "given up before the peer accepted anything"


@pytest.mark.parametrize("name", ["resets", "answers half"])
def test_a_broken_answer_is_asked_for_again_with_the_same_request(
    client_for: Callable[..., Asks], peer: Any, misbehaviours: dict[str, Behave], says: Any, name: str
) -> None:
    other = peer(misbehaviours[name], says("200 OK"))
    assert client_for(other.url).predict(**ASK).probabilities == [0.25, 0.5]
    bodies = [request.partition(b"\r\n\r\n")[2] for request in other.requests]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    assert len(json.loads(bodies[0])["request_id"]) == 32


def test_a_connection_that_was_closed_while_it_rested_is_no_failure(
    client_for: Callable[..., Asks], peer: Any, says: Any
) -> None:
    def answers_and_leaves(accepted: socket.socket, over: Any) -> None:
        says("200 OK")(accepted, over)
        accepted.close()

    other = peer(answers_and_leaves)
    client = client_for(other.url, retries=1)
    for _ in range(5):
        client.predict(**ASK)
    assert other.connections == 5


def test_503_with_retry_after_is_asked_again_when_it_says(
    client_for: Callable[..., Asks], peer: Any, says: Any
) -> None:
    other = peer(says("503 Service Unavailable", b"", "Retry-After: 1"), says("200 OK"))
    assert client_for(other.url).predict(**ASK).model == "peer@1"
    assert len(other.requests) == 2


def test_retry_after_beyond_the_deadline_is_not_waited_for(
    client_for: Callable[..., Asks], peer: Any, says: Any
) -> None:
    other = peer(says("503 Service Unavailable", b"", "Retry-After: 3600"))
    with pytest.raises(Unavailable, match="3600000 ms, after the deadline"):
        client_for(other.url).predict(**ASK)
    assert len(other.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved Permanently", "422 Unprocessable", "500 Oops", "507 Full"])
def test_nothing_is_sent_twice_that_another_try_cannot_mend(
    client_for: Callable[..., Asks], peer: Any, says: Any, status: str
) -> None:
    other = peer(says(status, b"", "Location: /elsewhere"))
    client = client_for(other.url)
    for ask in (lambda: client.predict(**ASK), lambda: client.feedback([FeedbackEvent("r", "click", position=0)])):
        with pytest.raises((Refused, Unavailable), match=f"HTTP {status[:3]}"):
            ask()
    assert len(other.requests) == 2


def test_what_is_no_answer_of_the_service_is_not_taken_for_one(
    client_for: Callable[..., Asks], peer: Any, says: Any
) -> None:
    other = peer(
        says("200 OK", b"<html>"),
        says("200 OK", b"[]"),
        says("200 OK", b'{"request_id":"r","arm":"a","model":"m","probabilities":[7],"fallback":false}'),
    )
    with pytest.raises(Unavailable, match="3 tries: no try is left") as caught:
        client_for(other.url).predict(**ASK)
    assert "no list of numbers within" in str(caught.value)


@pytest.mark.parametrize("probabilities", ["[NaN]", "[-0.1]", "[0.5, 1.5]", '["0.5"]', "[true]", "0.5", "null"])
def test_probabilities_that_are_none_are_not_taken(
    client_for: Callable[..., Asks], peer: Any, says: Any, probabilities: str
) -> None:
    body = f'{{"request_id":"r","arm":"a","model":"m","probabilities":{probabilities},"fallback":false}}'
    with pytest.raises(Unavailable, match="not an answer of this service"):
        client_for(peer(says("200 OK", body.encode())).url, retries=0).predict(**ASK)


def test_the_next_service_answers_for_one_that_is_not_there(
    client_for: Callable[..., Asks], service_url: str, misbehaviours: dict[str, Behave], peer: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert client_for(gone, service_url).predict(**ASK).model == "tiny-student@v1"
    hung = peer(misbehaviours["hangs"])
    assert client_for(hung.url, service_url, attempt_ms=200).predict(**ASK).model == "tiny-student@v1"
    assert len(hung.requests) == 1


def test_a_closed_client_has_closed_its_connections(peer: Any, says: Any) -> None:
    other = peer(says("200 OK"))
    with Client(other.url, deadline_ms=20_000) as client:
        client.predict(**ASK)
        held = client._pools.connection_from_url(other.url).pool
        assert held is not None
        connections = [connection for connection in held.queue if connection is not None]
        assert [connection.is_closed for connection in connections] == [False]
    assert [connection.is_closed for connection in connections] == [True]


def test_the_folder_works_wherever_it_is_copied_to_without_the_service_or_aiohttp(tmp_path: Path) -> None:
    folder = Path(service.client.__file__).parent
    shutil.copytree(folder, tmp_path / "ranking" / "ctr", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import sys; from ranking.ctr import Client; Client('http://127.0.0.1:1').close()\n"
        "print([name for name in ('service', 'aiohttp', 'numpy', 'orjson', 'pydantic') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
