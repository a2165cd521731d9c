"""A real service on a real port, and peers that misbehave on purpose on real sockets."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.app import create_app
from service.settings import Settings

EXPERIMENT = """
[[experiments]]
name = "one-against-the-other"
arms = [{name = "teacher", weight = 5000}, {name = "student", weight = 5000}]
"""
ANSWER = b'{"request_id":"r","arm":"student","model":"peer@1","probabilities":[0.25,0.5],"fallback":false}'

LATE_S = 2.0
"""After so many seconds a late peer answers after all: a client that waits for it has a wrong deadline."""

Behave = Callable[[socket.socket, threading.Event], None]
"""What a peer does with a request that it has read; the event is set when the test is over."""


@pytest.fixture(scope="module")
def service_url(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with an experiment and an event store."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    settings = Settings(
        student_bundle=bundles / "student",
        teacher_bundle=bundles / "teacher",
        events=f"sqlite:{folder}/events.sqlite3",
        experiment=folder / "experiment.toml",
    )
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(create_app(settings), http="httptools", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    httpx.get(f"{url}/readyz", timeout=20).raise_for_status()
    yield url
    server.should_exit = True
    thread.join(20)
    listener.close()


class Peer:
    """Reads whole requests and behaves as told: the n-th request by the n-th behaviour, later ones by the last."""

    def __init__(
        self,
        *behaviours: Behave,
        backlog: int | None = None,
        accepts_after_s: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._behaviours = behaviours
        self._accepts_after_s = accepts_after_s
        self._tls = tls
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.requests: list[bytes] = []
        self.address: tuple[str, int] = self._listener.getsockname()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Let go of everybody."""
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for opened in self._open:
            opened.close()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        self._over.wait(self._accepts_after_s)
        while not self._over.is_set():
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(accepted)
            self._threads.append(threading.Thread(target=self._serve, args=(accepted,)))
            self._threads[-1].start()

    def _serve(self, accepted: socket.socket) -> None:
        if self._tls is not None:
            try:
                accepted = self._tls.wrap_socket(accepted, server_side=True)
            except OSError:
                return
            self._open.append(accepted)
        accepted.settimeout(0.05)
        while not self._over.is_set() and accepted.fileno() != -1:
            request = self._read(accepted)
            if not request:
                return
            with self._lock:
                self.requests.append(request)
                behave = self._behaviours[min(len(self.requests), len(self._behaviours)) - 1]
            try:
                behave(accepted, self._over)
            except OSError:
                return

    def _read(self, accepted: socket.socket) -> bytes:
        """One request; empty when the other side has left or the test is over."""
        read = b""
        while not self._over.is_set():
            head, ended, body = read.partition(b"\r\n\r\n")
            announced = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if ended and len(body) >= int(announced[0].split(b":")[1]):
                return read
            try:
                chunk = accepted.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return b""
            if not chunk:
                return b""
            read += chunk
        return b""


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """Makes peers; they are let go at the end."""
    made: list[Peer] = []

    def make(*behaviours: Behave, **options: Any) -> Peer:
        made.append(Peer(*behaviours, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _says(status: str, body: bytes = ANSWER, *headers: str) -> Behave:
    def behave(accepted: socket.socket, over: threading.Event) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        accepted.sendall("\r\n".join(lines).encode() + body)

    return behave


def _hangs(accepted: socket.socket, over: threading.Event) -> None:
    over.wait(LATE_S)
    _says("200 OK")(accepted, over)


def _resets(accepted: socket.socket, over: threading.Event) -> None:
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    accepted.close()


def _half(accepted: socket.socket, over: threading.Event) -> None:
    accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER[: len(ANSWER) // 2])
    accepted.close()


def _drips(accepted: socket.socket, over: threading.Event) -> None:
    """A byte of the head every 20 ms: no wait of the reader's is long, all together are."""
    _drip(accepted, over, b"HTTP/1.1 200 OK\r\nX-Slow: ")
    accepted.sendall(b"\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)


def _drips_its_body(accepted: socket.socket, over: threading.Event) -> None:
    accepted.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _drip(accepted, over, b"", b"1\r\n \r\n")
    accepted.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(ANSWER), ANSWER))


def _drip(accepted: socket.socket, over: threading.Event, first: bytes, drop: bytes = b"x") -> None:
    accepted.sendall(first)
    for _ in range(round(LATE_S / 0.02)):
        over.wait(0.02)
        accepted.sendall(drop)


@pytest.fixture
def says() -> Callable[..., Behave]:
    """Status line, body and headers → the behaviour that answers so."""
    return _says


@pytest.fixture
def misbehaviours() -> dict[str, Behave]:
    """By name."""
    return {
        "hangs": _hangs,
        "resets": _resets,
        "answers half": _half,
        "drips its head": _drips,
        "drips its body": _drips_its_body,
    }


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A peer's side of TLS; the certificate is one that this process trusts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=peer"]
    options += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, "req", "-x509", *options], capture_output=True, check=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
