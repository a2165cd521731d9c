"""Sockets that end at a moment, not after a silence.

A socket's timeout starts anew with every byte, so an answer that drips keeps a caller for hours. Here every wait of a
socket is at most what is left of the call that the thread is in. The other ways are a thread per call that is left
behind, and a watchdog that closes sockets of other threads.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

ENDS: ContextVar[float] = ContextVar("ENDS")
"""`time.monotonic` at which the call of this thread ends."""

if TYPE_CHECKING:
    _Socket = socket.socket
else:
    _Socket = object


def left_s() -> float:
    """Seconds that are left of the call; raises TimeoutError when none are."""
    left = ENDS.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


class _Ending(_Socket):
    """What waits of a socket are made of, each with what is left as its timeout."""

    def recv_into(self, *args: Any, **options: Any) -> int:
        self.settimeout(left_s())
        return super().recv_into(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:
        self.settimeout(left_s())
        super().sendall(*args, **options)


class EndingSocket(_Ending, socket.socket):
    """A TCP socket whose waits end with the call."""


class EndingTlsSocket(_Ending, ssl.SSLSocket):
    """The same under TLS; the handshake's timeout is the socket's, and that is for all of it."""


def tls_context() -> ssl.SSLContext:
    """The system's certificates, names checked, and sockets whose waits end with the call."""
    context = ssl.create_default_context()
    context.sslsocket_class = EndingTlsSocket
    return context


class _Connecting(HTTPConnection):
    """Connects to the first address that answers; all addresses together have what is left.

    The name itself is looked up by the system's resolver, which knows no deadline: use addresses, or a resolver that
    caches, where that matters.
    """

    def _new_conn(self) -> socket.socket:
        try:
            addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        last: OSError | None = None
        for family, kind, protocol, _, address in addresses:
            try:
                return self._connected(EndingSocket(family, kind, protocol), address)
            except OSError as error:
                last = error
        if isinstance(last, TimeoutError):
            raise ConnectTimeoutError(self, "no connection before the deadline") from last
        raise NewConnectionError(self, f"no connection: {last}") from last

    def _connected(self, made: EndingSocket, address: Any) -> EndingSocket:
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.settimeout(left_s())
            made.connect(address)
        except OSError:
            made.close()
            raise
        return made


class _HttpsConnection(_Connecting, HTTPSConnection):
    """The same, then TLS."""


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connecting


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def pool_manager(urls: int, connections: int) -> urllib3.PoolManager:
    """Kept connections, at most so many to each of so many URLs; who needs one more waits for it."""
    manager = urllib3.PoolManager(
        num_pools=urls, maxsize=connections, block=True, retries=False, ssl_context=tls_context()
    )
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager
