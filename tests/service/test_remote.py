from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from service.app import create_app
from service.settings import Settings

TOKEN = "let me in"  # noqa: S105 - the tests' own
ADMIN = {"authorization": f"Bearer {TOKEN}"}
BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i1", "i2", "i3"]}


@pytest.fixture(scope="module")
def teacher_url(bundles: Path) -> Iterator[str]:
    """A service of its own whose student is the teacher's bundle."""
    settings = Settings(student_bundle=bundles / "teacher", teacher_bundle=None)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), lifespan="on", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/student/predict"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def stranger() -> Iterator[Callable[..., str]]:
    """Starts an HTTP server that answers every request in the same way, after a while; returns its URL."""
    servers = []

    def start(status: int, content: bytes, delay_s: float = 0.0) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                time.sleep(delay_s)
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                with suppress(BrokenPipeError):  # the service has not waited
                    self.wfile.write(content)

            def log_message(self, *_args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/predict"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def with_remote(open_client: Any, tmp_path: Path) -> Callable[..., Any]:
    """Opens a service whose teacher is at a URL, under an experiment."""

    def open_one(url: str, **settings: Any) -> Any:
        given = {"events": f"sqlite:{tmp_path}/e.sqlite3", "admin_token": TOKEN, "arms": {"teacher": url}, **settings}
        client = open_client(**given)
        arms = [{"name": "student", "weight": 5000}, {"name": "teacher", "weight": 5000}]
        document = {"experiments": [{"name": "a", "arms": arms}]}
        assert client.request("PUT", "/experiment", json=document, headers=ADMIN).status_code == 200
        return client

    return open_one


def of_arm(client: Any, arm: str) -> dict[str, Any]:
    """The answer to a unit of that arm."""
    answers = (client.post("/predict", json={"unit": f"u{i}", **BODY}).json() for i in range(100))
    found: dict[str, Any] = next(answer for answer in answers if answer["arm"] == arm)
    return found


def test_a_teacher_elsewhere_answers_as_one_in_process(
    with_remote: Callable[..., Any], teacher_url: str, client: Any
) -> None:
    remote = with_remote(teacher_url)
    answer = of_arm(remote, "teacher")
    assert (answer["model"], answer["fallback"]) == ("tiny-teacher@v1", False)
    expected = client.post("/teacher/predict", json=BODY).json()["probabilities"]
    assert answer["probabilities"] == pytest.approx(expected, abs=1e-7)
    forced = remote.post("/teacher/predict", json=BODY).json()
    assert (forced["arm"], forced["probabilities"]) == ("teacher", answer["probabilities"])
    assert remote.metric("ctr_stage_duration_seconds_count", stage="infer", arm="teacher") >= 1


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (503, b"{}", "refused"),
        (302, b"", "refused"),
        (200, b"{", "malformed"),
        (200, b"[]", "malformed"),
        (200, b'{"model": "m", "probabilities": [0.5]}', "malformed"),
        (200, b'{"model": "m", "probabilities": [0.5, 0.5, 1.5]}', "malformed"),
        (200, b'{"model": "m", "probabilities": [0.5, 0.5, null]}', "malformed"),
        (200, b'{"model": "m", "probabilities": [0.5, 0.5, "x"]}', "malformed"),
    ],
)
def test_an_answer_that_is_none_falls_back(
    with_remote: Callable[..., Any], stranger: Callable[..., str], status: int, content: bytes, reason: str
) -> None:
    remote = with_remote(stranger(status, content))
    answer = of_arm(remote, "teacher")
    assert (answer["model"], answer["fallback"]) == ("tiny-student@v1", True)
    assert remote.metric("ctr_fallbacks_total", arm="teacher", reason=reason) == 1
    forced = remote.post("/teacher/predict", json=BODY)
    assert (forced.status_code, forced.json()["type"]) == (502, "urn:problem-type:ctr:remote-failed")


def test_a_teacher_past_its_deadline_falls_back(with_remote: Callable[..., Any], stranger: Callable[..., str]) -> None:
    content = json.dumps({"model": "m@1", "probabilities": [0.1, 0.2, 0.3]}).encode()
    remote = with_remote(stranger(200, content, delay_s=1.0), teacher_timeout_ms=100)
    assert of_arm(remote, "teacher")["fallback"]
    assert remote.metric("ctr_fallbacks_total", arm="teacher", reason="timeout") == 1
    assert remote.post("/teacher/predict", json=BODY).status_code == 504
    assert remote.metric("ctr_shed_total", reason="deadline") == 2


def test_a_host_that_is_gone_is_not_waited_for_until_the_deadline(with_remote: Callable[..., Any]) -> None:
    """A listener whose queue is full drops what knocks, as the address of a machine that died does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as knocking:
        for _ in range(3):
            knock = knocking.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(listener.getsockname())
        remote = with_remote(f"http://127.0.0.1:{listener.getsockname()[1]}/predict", teacher_timeout_ms=60_000)
        assert of_arm(remote, "teacher")["fallback"]
        assert remote.metric("ctr_fallbacks_total", arm="teacher", reason="unreachable") == 1


def test_a_teacher_elsewhere_needs_no_event_store(open_client: Any, teacher_url: str) -> None:
    client = open_client(events="", arms={"teacher": teacher_url})
    assert client.post("/teacher/predict", json=BODY).json()["model"] == "tiny-teacher@v1"


def test_a_teacher_that_is_not_there_falls_back(with_remote: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    remote = with_remote(f"http://127.0.0.1:{port}/predict")
    assert of_arm(remote, "teacher")["fallback"]
    assert remote.metric("ctr_fallbacks_total", arm="teacher", reason="unreachable") == 1
