"""What an answer must be to count, and the feedback that its reader sends back."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nlargest
from typing import Any

import orjson

from loadtest.bench.client import Answer
from loadtest.ranking.prepared import Prepared

_OK = 200
Event = Mapping[str, Any]


class WrongAnswerError(Exception):
    """An answer that counts as a failure; the message is short and says what it was, not to whom."""


def prediction(answer: Answer, candidates: int) -> Mapping[str, Any]:
    """A right answer to a request with so many candidates, decoded.

    Raises:
        WrongAnswerError: another status, another number of probabilities, or one outside 0 to 1, as NaN is.
    """
    if answer.status != _OK:
        raise WrongAnswerError(f"status {answer.status}{_kind(answer.body)}")
    try:
        read: Mapping[str, Any] = orjson.loads(answer.body)
        given = read["probabilities"]
        count, low, high = len(given), min(given), max(given)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise WrongAnswerError("a 200 without readable probabilities") from None
    if count != candidates:
        raise WrongAnswerError("another number of probabilities than candidates")
    if not 0 <= low <= high <= 1:
        raise WrongAnswerError("a probability outside 0 to 1")
    return read


def _kind(body: bytes) -> str:
    """The kind of a problem+json body, for a message that many answers share."""
    try:
        kind = orjson.loads(body)["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return f" {str(kind).rpartition(':')[2]}"


def events(request: Prepared, request_id: str, read: Mapping[str, Any], shown: int) -> list[Event]:
    """An impression of every candidate shown, the most probable first, and the clicks; none without feedback."""
    if request.clicked_to is None:
        return []
    given, token = read["probabilities"], read.get("token")
    common = {"request_id": request_id} if token is None else {"request_id": request_id, "token": token}
    found: list[Event] = []
    for rank, position in enumerate(nlargest(shown, range(len(given)), key=given.__getitem__), 1):
        found.append({**common, "position": position, "type": "impression"})
        if rank <= request.clicked_to[position]:
            found.append({**common, "position": position, "type": "click"})
    return found


def feedback_body(sent: list[Event]) -> bytes:
    """Events as NDJSON."""
    return b"\n".join(map(orjson.dumps, sent))


def feedback_results(answer: Answer) -> Mapping[str, int]:
    """What became of events, result → how many; raises WrongAnswerError for another status than 200."""
    if answer.status != _OK:
        raise WrongAnswerError(f"feedback: status {answer.status}{_kind(answer.body)} (--feedback 0 sends none)")
    read = orjson.loads(answer.body)
    return {name: read[name] for name in ("accepted", "duplicates", "late", "unknown", "refused") if read[name]}
