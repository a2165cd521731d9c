"""One HTTP/1.1 connection that sends whole requests and waits for each answer.

For checking answers, for warming up, and for the one thing that wrk cannot do: sending at a constant rate.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

TIMEOUT_S = 30.0
_RECEIVE = 1 << 18


@dataclass(frozen=True)
class Answer:
    """Status, headers with names in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """Of one client with a server.

    Args:
        port: where it listens.
        host: its name or address.
        timeout_s: longest wait for it to connect, or to send or take something.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = TIMEOUT_S) -> None:
        self._socket = socket.create_connection((host, port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._socket.close()

    def exchange(self, request: bytes) -> Answer:
        """Send a whole request and wait for its whole answer.

        Raises:
            ConnectionError: the server closed the connection before its answer was whole.
        """
        self._socket.sendall(request)
        received = self._socket.recv(_RECEIVE)
        while received and b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "content-length" not in headers:
            raise ConnectionError(f"an answer without Content-Length: {received[:80]!r}")
        length = int(headers["content-length"])
        while len(body) < length:
            body += self._more()
        return Answer(int(status.split()[1]), headers, body)

    def _more(self) -> bytes:
        received = self._socket.recv(_RECEIVE)
        if not received:
            raise ConnectionError("the server closed the connection in the middle of an answer")
        return received


def get(port: int, path: str) -> Answer:
    """The answer to a GET."""
    with Connection(port) as connection:
        return connection.exchange(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def steady_latencies(port: int, requests: Sequence[bytes], *, rate: float, seconds: float) -> npt.NDArray[np.float64]:
    """Milliseconds from the moment each request was due to its whole answer, at `rate` requests per second.

    One connection: a request that is due while another is answered waits, and its wait counts (open loop). The client
    spins between requests, because a timer would wake it too late.

    Raises:
        ConnectionError: an answer was no 200, or was not whole.
    """
    count = max(1, int(rate * seconds))
    latencies = np.empty(count)
    turn = cycle(requests)
    gc.disable()  # its pauses would be taken for the server's
    try:
        with Connection(port) as connection:
            start = perf_counter()
            for position in range(count):
                due = start + position / rate
                while perf_counter() < due:
                    pass
                answer = connection.exchange(next(turn))
                latencies[position] = perf_counter() - due
                if answer.status != 200:  # noqa: PLR2004
                    raise ConnectionError(f"got {answer.status}, expected 200: {answer.body[:200]!r}")
    finally:
        gc.enable()
    return latencies * 1e3
