"""The client for threads: a call takes a kept connection or opens one, and gives it back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from urllib3.exceptions import HTTPError

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
from .deadline import ENDS, pool_manager

T = TypeVar("T")


class Client:
    """Asks one service, or the first of several that answers. Safe to share between threads; close it at the end.

    Args:
        url: base URL, e.g. `http://127.0.0.1:8000`.
        further: base URLs to fall through to when the one before does not answer.
        deadline_ms: milliseconds a call may take altogether: connecting, sending, every try, every wait.
        retries: most further tries of a call.
        attempt_ms: milliseconds one try may take; None for all that is left. Set it where there is somewhere else to
            go: a service that hangs otherwise takes the whole deadline.
        connections: most connections to each URL; a call that finds all in use waits for one. As many as threads, and
            a few per worker of the service: the kernel spreads connections over workers, not requests.
    """

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
        self._pools = pool_manager(len(self._policy.urls), connections)

    def predict(
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
        """Click probabilities of N candidates, given as exactly one of `items`, `candidates` and `candidate_ids`.

        numpy arrays may stand wherever lists do. Without a `request_id` one is made, the same for every try.

        Raises:
            ValueError: a value that JSON cannot say, such as NaN.
            Refused: the service does not take the request; the error says which field is wrong.
            Unavailable: nothing could answer.
            DeadlineExceeded: nothing answered in time.
        """
        body = predict_body(
            request_id=request_id or uuid.uuid4().hex,
            unit=unit,
            context=context,
            context_ids=context_ids,
            candidates=candidates,
            candidate_ids=candidate_ids,
            items=items,
        )
        return self._ask("/predict", body, deadline_ms, read_prediction)

    def feedback(
        self, events: Iterable[FeedbackEvent | Mapping[str, Any]], *, deadline_ms: float | None = None
    ) -> FeedbackResult:
        """Store at most 1,000 events; raises as `predict` does. Sending the same events again does no harm."""
        return self._ask("/feedback", feedback_body(events), deadline_ms, read_feedback)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pools.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, path: str, body: bytes, deadline_ms: float | None, parse: Callable[[bytes], T]) -> T:
        call = Call(self._policy, deadline_ms)
        while True:
            attempt = call.next()
            time.sleep(attempt.wait_s)
            try:
                status, headers, content = self._post(attempt, path, body)
            except (HTTPError, OSError) as error:
                call.failed(f"{type(error).__name__}: {error}")
                continue
            found = call.read(status, headers, content, parse)
            if found is not None:
                return found

    def _post(self, attempt: Attempt, path: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        token = ENDS.set(time.monotonic() + attempt.timeout_s)
        try:
            answer = self._pools.request(
                "POST",
                attempt.url + path,
                body=body,
                headers=HEADERS,
                timeout=attempt.timeout_s,
                pool_timeout=attempt.timeout_s,
                redirect=False,
            )
        finally:
            ENDS.reset(token)
        return answer.status, answer.headers, answer.data
