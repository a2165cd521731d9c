"""The client over real sockets: whole answers, and latencies that count the time a request had to wait."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from loadtest.bench.client import Connection, steady_latencies

Handler = Callable[[int], tuple[float, list[bytes]]]
"""Number of the request → seconds to wait, parts of the answer."""


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], int]]:
    """Serves one connection, one answer per received request; returns the port."""
    threads, listeners = [], []

    def start(handler: Handler) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threads.append(threading.Thread(target=_answer, args=(listener, handler)))
        threads[-1].start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    for thread, listener in zip(threads, listeners, strict=True):
        thread.join(20)
        listener.close()


def _answer(listener: socket.socket, handler: Handler) -> None:
    connection, _ = listener.accept()
    with connection:
        number = 0
        while connection.recv(65536):
            wait, parts = handler(number)
            time.sleep(wait)
            for part in parts:
                connection.sendall(part)
                time.sleep(0.001)
            number += 1
            if not parts:
                return


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Kind: test\r\n\r\nbody"


def test_an_answer_in_pieces_is_put_together(serve: Callable[[Handler], int]) -> None:
    port = serve(lambda _number: (0.0, [OK[:10], OK[10:40], OK[40:-2], OK[-2:]]))
    with Connection(port) as connection:
        for _ in range(2):
            answer = connection.exchange(b"x")
            assert (answer.status, answer.headers["x-kind"], answer.body) == (200, "test", b"body")


def test_a_connection_closed_in_the_middle_is_said(serve: Callable[[Handler], int]) -> None:
    port = serve(lambda number: (0.0, [OK[:-2]] if number == 0 else []))
    with Connection(port) as connection:
        connection._socket.settimeout(5)
        connection._socket.sendall(b"first")
        connection._socket.recv(65536)
        with pytest.raises(ConnectionError):
            connection.exchange(b"second")


def test_latency_counts_from_the_moment_a_request_was_due(serve: Callable[[Handler], int]) -> None:
    """The first answer takes 0.3 s; the requests due meanwhile wait, each 0.1 s less than the one before."""
    port = serve(lambda number: (0.3 if number == 0 else 0.0, [OK]))
    latencies = steady_latencies(port, [b"x"], rate=10, seconds=0.5)
    assert len(latencies) == 5
    np.testing.assert_allclose(latencies[:3], [300, 200, 100], atol=60)
    assert latencies[4] < 60


def test_an_answer_other_than_200_ends_it(serve: Callable[[Handler], int]) -> None:
    port = serve(lambda _number: (0.0, [OK.replace(b"200 OK", b"503 No")]))
    with pytest.raises(ConnectionError, match="503"):
        steady_latencies(port, [b"x"], rate=10, seconds=0.1)
