"""The client for event loops, on aiohttp, which is imported when the first call is made: `Client` does without it."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .answers import (
    FeedbackEvent,
    FeedbackResult,
    Prediction,
    Value,
    feedback_body,
    predict_body,
    read_feedback,
    read_prediction,
)
from .calls import HEADERS, Attempt, Call, Policy

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")


class AsyncClient:
    """As `Client`, awaited; belongs to the event loop of its first call. Arguments as there."""

    def __init__(
        self,
        url: str,
        *further: str,
        deadline_ms: float = 200.0,
        retries: int = 2,
        attempt_ms: float | None = None,
        connections: int = 16,
    ) -> None:
        self._policy = Policy((url, *further), deadline_ms, retries, attempt_ms)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def predict(
        self,
        *,
        context: Mapping[str, Value] | None = None,
        items: Sequence[str | int] | None = None,
        candidates: Mapping[str, Sequence[Value]] | Sequence[Mapping[str, Value]] | None = None,
        context_ids: Mapping[str, int] | None = None,
        candidate_ids: Mapping[str, Sequence[int]] | None = None,
        unit: str | None = None,
        request_id: str | None = None,
        deadline_ms: float | None = None,
    ) -> Prediction:
        """As `Client.predict`, and raises the same."""
        body = predict_body(
            request_id=request_id or uuid.uuid4().hex,
            unit=unit,
            context=context,
            context_ids=context_ids,
            candidates=candidates,
            candidate_ids=candidate_ids,
            items=items,
        )
        return await self._ask("/predict", body, deadline_ms, read_prediction)

    async def feedback(
        self, events: Iterable[FeedbackEvent | Mapping[str, Any]], *, deadline_ms: float | None = None
    ) -> FeedbackResult:
        """As `Client.feedback`, and raises the same."""
        return await self._ask("/feedback", feedback_body(events), deadline_ms, read_feedback)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, path: str, body: bytes, deadline_ms: float | None, parse: Callable[[bytes], T]) -> T:
        import aiohttp  # noqa: PLC0415 - only programs on an event loop need it

        call = Call(self._policy, deadline_ms)
        while True:
            attempt = call.next()
            await asyncio.sleep(attempt.wait_s)
            try:
                status, headers, content = await self._post(attempt, path, body)
            except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
                call.failed(f"{type(error).__name__}: {error}")
                continue
            found = call.read(status, headers, content, parse)
            if found is not None:
                return found

    async def _post(self, attempt: Attempt, path: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp  # noqa: PLC0415 - as above

        if self._session is None:
            # aiohttp's own context is made when it is imported, and knows no certificates that came later.
            tls = ssl.create_default_context()
            connector = aiohttp.TCPConnector(limit_per_host=self._connections, keepalive_timeout=60, ssl=tls)
            self._session = aiohttp.ClientSession(connector=connector, headers=HEADERS)
        timeout = aiohttp.ClientTimeout(total=attempt.timeout_s)
        url = attempt.url + path
        async with self._session.post(url, data=body, timeout=timeout, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()
