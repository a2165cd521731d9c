"""What wrk prints is read whole or refused; wrk itself is asked where it is installed."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.bench.wrk import LoadError, installed, read_load, run_wrk, write_requests

FOUND = {
    "requests": 3000,
    "duration_us": 1_500_000,
    "p50_us": 400,
    "p90_us": 500,
    "p99_us": 900,
    "max_us": 5000,
    "mean_us": 420.5,
    "connect": 0,
    "read": 0,
    "write": 0,
    "status": 0,
    "timeout": 0,
}


def printed(**changed: object) -> str:
    return f"Running 2s test @ http://127.0.0.1\n  1 threads\n{json.dumps({**FOUND, **changed})}\n"


def test_a_load_is_read_in_requests_per_second_and_milliseconds() -> None:
    load = read_load(printed())
    assert (load.requests_per_s, load.p50_ms, load.p99_ms, load.requests) == (2000.0, 0.4, 0.9, 3000)


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
def test_any_error_refuses_the_load_and_is_named(kind: str) -> None:
    with pytest.raises(LoadError, match=f"'{kind}': 3"):
        read_load(printed(**{kind: 3}))


def test_no_answer_at_all_is_no_load() -> None:
    with pytest.raises(LoadError, match="0 answers"):
        read_load(printed(requests=0))


def test_output_without_the_line_is_shown() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        read_load("unable to connect to 127.0.0.1:1 Connection refused\n")


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers 200, or 500 to a body that says so, and keeps the bodies."""

    protocol_version = "HTTP/1.1"
    bodies: set[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.add(body)
        self.send_response(500 if body == b"fail" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    Recorder.bodies = set()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(10)


def request(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


needs_wrk = pytest.mark.skipif(not installed(), reason="wrk is not installed")


@needs_wrk
def test_wrk_sends_every_request_in_turn(port: int, tmp_path: Path) -> None:
    write_requests(tmp_path, [request(body) for body in (b"one", b"two", b"three")])
    load = run_wrk(port, tmp_path, 3, connections=1, seconds=1)
    assert load.requests > 3
    assert 0 < load.p50_ms <= load.p99_ms
    assert Recorder.bodies == {b"one", b"two", b"three"}


@needs_wrk
def test_an_answer_that_is_no_success_ends_the_point(port: int, tmp_path: Path) -> None:
    write_requests(tmp_path, [request(body) for body in (b"one", b"fail")])
    with pytest.raises(LoadError, match="'status'"):
        run_wrk(port, tmp_path, 2, connections=1, seconds=1)
