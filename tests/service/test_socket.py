"""What only a real socket shows: chunked bodies, cut connections, requests at the same time."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from service.app import create_app
from service.settings import Settings

BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]}


@pytest.fixture(scope="module")
def address(bundles: Path) -> Iterator[tuple[str, int]]:
    """A service behind uvicorn on a free port, bodies limited to 1 MB."""
    settings = Settings(
        student_bundle=bundles / "student", teacher_bundle=bundles / "teacher", max_body_bytes=1_000_000
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), http="httptools", lifespan="on", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(20)


def exchange(address: tuple[str, int], request: bytes) -> tuple[int, bytes]:
    """Send raw bytes, return the status and the body of the answer."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
            received = connection.recv(65536)
            if not received:
                break
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_a_prediction_over_a_socket(address: tuple[str, int]) -> None:
    body = json.dumps(BODY).encode()
    status, answer = exchange(address, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert status == 200
    assert len(json.loads(answer)["probabilities"]) == 2


def test_a_chunked_prediction_over_a_socket(address: tuple[str, int]) -> None:
    body = json.dumps(BODY).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    status, answer = exchange(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert status == 200
    assert len(json.loads(answer)["probabilities"]) == 2


def test_an_announced_gigabyte_is_413_without_a_byte_of_it(address: tuple[str, int]) -> None:
    status, answer = exchange(address, HEAD + b"Content-Length: 1000000000\r\n\r\n")
    assert status == 413
    assert json.loads(answer)["type"].endswith("body-too-large")


def test_endless_chunks_are_413_and_the_connection_is_closed(address: tuple[str, int]) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 100_000_000:
                connection.sendall(chunk)
                sent += 0x10000
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 50_000_000


def test_a_client_that_leaves_half_way_harms_nobody(address: tuple[str, int]) -> None:
    for _ in range(5):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    base = f"http://{address[0]}:{address[1]}"
    assert httpx.post(f"{base}/predict", json=BODY, trust_env=False).status_code == 200
    metrics = httpx.get(f"{base}/metrics", trust_env=False).text
    assert 'status_class="5xx"} 0.0' in metrics or "5xx" not in metrics


def test_requests_at_the_same_time_do_not_mix(address: tuple[str, int]) -> None:
    """Eight clients, each with its own item: every answer belongs to its request."""
    base = f"http://{address[0]}:{address[1]}"
    with httpx.Client(base_url=base, trust_env=False) as session:
        expected = {
            f"i{i}": session.post("/predict", json={**BODY, "items": [f"i{i}"]}).json()["probabilities"]
            for i in range(8)
        }
    wrong: list[str] = []

    def ask(item: str) -> None:
        with httpx.Client(base_url=base, trust_env=False) as session:
            for turn in range(30):
                path = "/predict" if turn % 3 else "/student/predict"
                sent = {**BODY, "items": [item], "request_id": f"{item}-{turn}"}
                answer = session.post(path, json=sent).json()
                if answer["probabilities"] != expected[item] or answer["request_id"] != f"{item}-{turn}":
                    wrong.append(item)

    threads = [threading.Thread(target=ask, args=(item,)) for item in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
