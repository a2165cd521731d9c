"""A model that another service answers for: the same API, in a process, container or machine of its own.

The body goes there as it came, so the other service may know fields that this one does not. What comes back is checked
before it is passed on. aiohttp: kept connections and a parser in C; its work is done on the event loop, beside the
student's, hence not a slower client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urljoin

import aiohttp
import numpy as np
import orjson

from service.api.answers import Probabilities
from service.api.hot import JSON
from service.queues import QueueInstruments

CONNECT_S = 0.1
"""Seconds for a connection: the address of a machine that is gone answers nothing, and no deadline is worth waiting."""
SHOWN = 200
"""Characters of a refusal that are passed on."""


class RemoteError(Exception):
    """A remote model gave no usable answer.

    Attributes:
        reason: timeout, busy, unreachable, refused or malformed: a closed set, for a metric.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RemoteAnswer(NamedTuple):
    """What a remote model answered."""

    model: str
    """`name@version`, as it says itself."""
    probabilities: Probabilities
    """[N] float32, finite, in [0, 1]."""


class Remote:
    """One remote model; open and close it on the event loop it is asked on.

    Args:
        name: what the settings call it.
        url: its predict path, e.g. `http://teacher:8000/student/predict`.
        timeout_ms: milliseconds within which it must have answered.
        max_waiting: most requests at once; one more is refused as busy without being sent.
        instruments: count what is turned away; None where nobody scrapes.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        timeout_ms: float,
        max_waiting: int,
        instruments: QueueInstruments | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000, sock_connect=CONNECT_S)
        self._timeout_ms = timeout_ms
        self._free = max_waiting
        self._max_waiting = max_waiting
        self._instruments = instruments
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool of connections; nothing is sent yet."""
        connector = aiohttp.TCPConnector(limit=self._max_waiting, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, body: bytes, candidates: int, request_id: str) -> RemoteAnswer:
        """What the remote model says of a request with so many candidates; raises RemoteError."""
        if self._session is None or self._free == 0:
            if self._instruments is not None:
                self._instruments.busy.inc()
            raise RemoteError("busy", f"{self.name}: {self._max_waiting} requests wait already")
        self._free -= 1
        try:
            content = await self._post(self._session, body, request_id)
        finally:
            self._free += 1
        return self._read(content, candidates)

    async def models(self) -> Any:
        """What its /models says, decoded; raises RemoteError."""
        if self._session is None:
            raise RemoteError("busy", f"{self.name} is not open")
        url = urljoin(self.url, "/models")
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                content = await response.read()
        except aiohttp.ConnectionTimeoutError:
            raise self._nobody_there() from None
        except TimeoutError:
            raise RemoteError("timeout", f"{url}: no answer within {self._timeout_ms:g} ms") from None
        except aiohttp.ClientError as error:
            raise RemoteError("unreachable", f"{url}: {error}") from None
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise RemoteError("malformed", f"{url}: HTTP {response.status}: {error}") from None

    def headers(self, request_id: str) -> dict[str, str]:
        """What a request is sent with."""
        return {"content-type": JSON, "x-request-id": request_id}

    async def _post(self, session: aiohttp.ClientSession, body: bytes, request_id: str) -> bytes:
        headers = self.headers(request_id)
        try:
            async with session.post(self.url, data=body, headers=headers, allow_redirects=False) as response:
                content = await response.read()
        except aiohttp.ConnectionTimeoutError:
            raise self._nobody_there() from None
        except TimeoutError:
            if self._instruments is not None:
                self._instruments.deadline.inc()
            raise RemoteError("timeout", f"{self.name}: no answer within {self._timeout_ms:g} ms") from None
        except aiohttp.ClientError as error:
            raise RemoteError("unreachable", f"{self.name} at {self.url}: {error}") from None
        if response.status != HTTPStatus.OK:
            shown = content[:SHOWN].decode("utf-8", "replace")
            raise RemoteError("refused", f"{self.name} at {self.url}: HTTP {response.status}: {shown}")
        return content

    def _nobody_there(self) -> RemoteError:
        return RemoteError("unreachable", f"{self.name} at {self.url}: no connection within {CONNECT_S * 1e3:g} ms")

    def _read(self, content: bytes, candidates: int) -> RemoteAnswer:
        """The answer in `content`, checked: one finite probability per candidate."""
        try:
            decoded = orjson.loads(content)
            model, probabilities_N = str(decoded["model"]), np.array(decoded["probabilities"], np.float32)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise RemoteError("malformed", f"{self.name} at {self.url}: {type(error).__name__}: {error}") from None
        if probabilities_N.shape != (candidates,) or not ((probabilities_N >= 0) & (probabilities_N <= 1)).all():
            got = f"probabilities of shape {probabilities_N.shape}"
            message = f"{self.name} at {self.url}: got {got}, expected {candidates} within [0, 1]"
            raise RemoteError("malformed", message)
        return RemoteAnswer(model, probabilities_N)


@asynccontextmanager
async def opened(remotes: Iterable[Remote]) -> AsyncIterator[None]:
    """While inside, these can be asked."""
    async with AsyncExitStack() as stack:
        for remote in remotes:
            await remote.open()
            stack.push_async_callback(remote.close)
        yield


def is_url(where: str) -> bool:
    """Whether an entry of CTR_ARMS means another service and not a directory."""
    return where.startswith(("http://", "https://"))
