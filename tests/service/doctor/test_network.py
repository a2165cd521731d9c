from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from service.app import create_app
from service.doctor import network
from service.doctor.finding import Status
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.doctor.conftest import Examined


@pytest.fixture(scope="module")
def serve(bundles: Path) -> Iterator[Callable[[str], int]]:
    """The port of a service with this bundle as its student; each is started once."""
    started: dict[str, tuple[uvicorn.Server, threading.Thread, int]] = {}

    def start(bundle: str) -> int:
        if bundle not in started:
            app = create_app(Settings(student_bundle=bundles / bundle, teacher_bundle=None, events=""))
            listener = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, access_log=False))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            while not server.started:
                time.sleep(0.01)
            started[bundle] = server, thread, listener.getsockname()[1]
        return started[bundle][2]

    yield start
    for server, thread, _ in started.values():
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def stranger() -> Iterator[Callable[..., int]]:
    """The port of another HTTP server that answers everything in the same way, by a clock of its own."""
    servers: list[ThreadingHTTPServer] = []

    def start(content: bytes, ahead_s: float = 0.0) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response_only(200)
                self.send_header("date", formatdate(time.time() + ahead_s, usegmt=True))
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_args: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        return servers[-1].server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def predict_path(port: int) -> str:
    return f"http://127.0.0.1:{port}/student/predict"


def test_a_free_port_is_well_and_stays_free(examined: Examined) -> None:
    port = free_port()
    for _ in range(2):
        assert examined(network.port, port=port)[f"port {port}"].status is Status.OK
    assert examined(network.port, port=0)["port 0"].status is Status.OK
    assert examined(network.port, port=0, admin_port=port)[f"port {port}"].status is Status.OK


def test_a_port_that_another_process_has_is_a_problem_and_says_whose(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "WAIT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = examined(network.port, port=port)[f"port {port}"]
    assert finding.status is Status.PROBLEM
    assert f"listening: {os.getpid()} (" in finding.found


def test_another_web_server_on_the_port_is_a_problem(examined: Examined, stranger: Callable[..., int]) -> None:
    for content in (b"hello", b"[]", b"{}"):
        port = stranger(content)
        assert examined(network.port, port=port)[f"port {port}"].status is Status.PROBLEM


def test_this_service_on_the_port_is_no_problem(examined: Examined, serve: Callable[[str], int]) -> None:
    port = serve("student")
    finding = examined(network.port, port=port)[f"port {port}"]
    assert finding.status is Status.OK
    assert "tiny-student@v1" in finding.found


def test_an_address_that_is_not_here_is_a_problem(examined: Examined) -> None:
    assert examined(network.port, host="192.0.2.1", port=8000)["port 8000"].status is Status.PROBLEM


def test_an_arm_of_the_same_schema_is_well(examined: Examined, serve: Callable[[str], int]) -> None:
    found = examined(network.arms, arms={"far": predict_path(serve("teacher"))})
    assert set(found) == {"arm far", "schema of arm far"} | ({"clock of arm far"} & set(found))
    assert {finding.status for finding in found.values()} == {Status.OK}


def test_an_arm_of_another_schema_is_a_problem_that_names_the_fields(
    examined: Examined, serve: Callable[[str], int]
) -> None:
    found = examined(network.arms, arms={"far": predict_path(serve("no-context"))})
    assert found["arm far"].status is Status.PROBLEM
    assert "HTTP 422" in found["arm far"].found
    assert found["schema of arm far"].status is Status.WARNING
    assert "hour, user" in found["schema of arm far"].found


def test_an_arm_that_is_gone_is_a_problem(examined: Examined) -> None:
    finding = examined(network.arms, arms={"far": predict_path(free_port())})["arm far"]
    assert finding.status is Status.PROBLEM
    assert "Connection refused" in finding.found


def test_an_arm_whose_clock_is_off_is_a_warning(examined: Examined, stranger: Callable[..., int]) -> None:
    content = json.dumps({"probabilities": [0.1, 0.2, 0.3, 0.4]}).encode()
    right = examined(network.arms, arms={"far": predict_path(stranger(content))})
    wrong = examined(network.arms, arms={"far": predict_path(stranger(content, ahead_s=-3600))})
    assert right["clock of arm far"].status is Status.OK
    assert wrong["clock of arm far"].status is Status.WARNING
    assert wrong["clock of arm far"].found.startswith("-3")


def test_arms_are_not_asked_without_a_student(examined: Examined, tmp_path: Path) -> None:
    found = examined(network.arms, student_bundle=tmp_path, arms={"far": "http://127.0.0.1:9/predict"})
    assert found["arms elsewhere"].status is Status.PROBLEM
    assert not examined(network.arms, student_bundle=tmp_path)


def test_a_collector_is_there_or_not(examined: Examined, stranger: Callable[..., int]) -> None:
    assert examined(network.collector)["traces"].status is Status.OK
    assert examined(network.collector, traces=f"http://127.0.0.1:{stranger(b'')}")["traces"].status is Status.OK
    assert examined(network.collector, traces=f"http://127.0.0.1:{free_port()}")["traces"].status is Status.WARNING
