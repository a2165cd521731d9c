"""From the body of a feedback request to events: checked whole before anything is stored.

    {"events": [EVENT, …]}, one bare EVENT, or a line of JSON per EVENT under application/x-ndjson
    EVENT = {"request_id", "type", "item" or "position", "ts"?, "value"?, "token"?}

Every error names the index of the event and the field. Pure: no clock, no store, no framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from service.api.problems import Problem, ProblemError, shown
from service.api.requests import REQUEST_ID, decode
from service.events.records import FeedbackEvent
from service.experiment.tokens import MAX_LENGTH

MAX_EVENTS = 1_000
"""Most events of one request: checking them keeps the event loop for 3 ms."""
MAX_ITEM_LENGTH = 1024
"""Most characters of an item id."""
TYPES = ("impression", "click")
_KEYS = ("request_id", "item", "position", "type", "ts", "value", "token")
_KEY_SET = frozenset(_KEYS)
_LAST_POSITION = 2**31 - 1
_LAST_MS = 253_402_300_799_999
"""The last millisecond that ISO 8601 can name."""


class SentEvent(NamedTuple):
    """One event as it was sent."""

    event: FeedbackEvent
    position: int | None
    """None when it names an item."""
    token: str | None


def read_json(body: bytes, now_ms: int) -> tuple[list[SentEvent], bool]:
    """The events in a JSON body, and whether it is one bare event; raises ProblemError."""
    sent = decode(body)
    if "events" not in sent:
        return [_event(sent, 0, now_ms)], True
    events = sent["events"]
    if type(events) is not list or len(sent) > 1:
        others = [key for key in sent if key != "events"]
        got = f"also {shown(others[0])}" if others else shown(events)
        detail = f"got {got}, expected one object with the key events alone, a list"
        raise ProblemError(Problem.MALFORMED_REQUEST, detail, field="events", got=got, expected="a list alone")
    return _events(events, now_ms), False


def read_lines(body: bytes, now_ms: int) -> list[SentEvent]:
    """The events in a body of one JSON object per line; empty lines are skipped. Raises ProblemError."""
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    _refuse_too_many(lines)
    return [_event(_decoded(line, index), index, now_ms) for index, line in enumerate(lines)]


def _events(events: Sequence[Any], now_ms: int) -> list[SentEvent]:
    _refuse_too_many(events)
    return [_event(sent, index, now_ms) for index, sent in enumerate(events)]


def _refuse_too_many(events: Sequence[Any]) -> None:
    if len(events) > MAX_EVENTS:
        got, expected = f"{len(events)} events", f"at most {MAX_EVENTS}"
        detail = f"the request has {got}, expected {expected}; split it"
        raise ProblemError(Problem.TOO_MANY_EVENTS, detail, field="events", got=got, expected=expected)


def _decoded(line: bytes, index: int) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        detail = f"event {index}, column {error.colno}: {error.msg}; expected one JSON object a line, numbers finite"
        raise ProblemError(Problem.MALFORMED_JSON, detail, position=index, expected="a JSON object") from None


def _event(sent: Any, index: int, now_ms: int) -> SentEvent:
    """One event, checked; raises ProblemError naming its index and the field."""
    if type(sent) is not dict:
        raise _bad(index, None, sent, "an object")
    if not _KEY_SET.issuperset(sent):
        unknown = next(key for key in sent if key not in _KEY_SET)
        raise _bad(index, unknown, unknown, f"no other key than {', '.join(_KEYS)}")
    request_id = sent.get("request_id")
    if type(request_id) is not str or not REQUEST_ID.fullmatch(request_id):
        raise _bad(index, "request_id", request_id, "a request's id, 1 to 128 of A-Z a-z 0-9 . _ : -")
    kind = sent.get("type")
    if kind not in TYPES:
        raise _bad(index, "type", kind, "impression or click")
    position = _position(sent, index)
    candidate = f"#{position}" if position is not None else _item(sent, index)
    token = sent.get("token")
    if token is not None and (type(token) is not str or len(token) > MAX_LENGTH):
        raise _bad(index, "token", token, "the answer's token, a string")
    event = FeedbackEvent(request_id, candidate, kind, _client_ms(sent, index), now_ms, _value(sent, index))
    return SentEvent(event, position, token)


def _position(sent: Mapping[str, Any], index: int) -> int | None:
    position, named = sent.get("position"), sent.get("item") is not None
    if (position is not None) == named:
        got = "both" if named else "neither"
        raise _bad(index, "position", got, "exactly one of item and position")
    if position is not None and (type(position) is not int or not 0 <= position <= _LAST_POSITION):
        raise _bad(index, "position", position, "the candidate's index in the request, from 0")
    return position


def _item(sent: Mapping[str, Any], index: int) -> str:
    """The item as its JSON, which tells 7 from "7"."""
    item = sent["item"]
    if type(item) not in (str, int) or (type(item) is str and not 0 < len(item) <= MAX_ITEM_LENGTH):
        raise _bad(index, "item", item, f"an item id, an integer or 1 to {MAX_ITEM_LENGTH} characters")
    return orjson.dumps(item).decode()


def _client_ms(sent: Mapping[str, Any], index: int) -> int | None:
    ts = sent.get("ts")
    if ts is None:
        return None
    if type(ts) is str:
        ts = _parsed_ms(ts)
    if type(ts) is not int or not 0 <= ts <= _LAST_MS:
        raise _bad(index, "ts", sent["ts"], "milliseconds since 1970, or ISO 8601 with a time zone")
    return ts


def _parsed_ms(text: str) -> int | None:
    """Milliseconds since 1970 of a date and time with its zone; None if it is none."""
    try:
        parsed = datetime.fromisoformat(text)
        return None if parsed.tzinfo is None else int(parsed.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _value(sent: Mapping[str, Any], index: int) -> float | None:
    value = sent.get("value")
    if value is None:
        return None
    if type(value) not in (int, float):
        raise _bad(index, "value", value, "a finite number")
    return float(value)


def _bad(index: int, field: str | None, got: object, expected: str) -> ProblemError:
    where = f"event {index}" if field is None else f"event {index}, {shown(field)}"
    detail = f"{where}: got {shown(got)}, expected {expected}; nothing was stored"
    return ProblemError(Problem.BAD_EVENT, detail, field=field, position=index, got=shown(got), expected=expected)
