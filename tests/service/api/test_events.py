from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.events import MAX_EVENTS, SentEvent, read_json, read_lines
from service.api.problems import Problem, ProblemError

NOW_MS = 1_760_000_000_000
EVENT = {"request_id": "r", "position": 3, "type": "click"}


def read(sent: Any) -> list[SentEvent]:
    return read_json(orjson.dumps(sent), NOW_MS)[0]


def refused(sent: Any) -> ProblemError:
    with pytest.raises(ProblemError) as raised:
        read(sent)
    return raised.value


def test_one_event_as_it_is_and_several_in_a_list_are_read_alike() -> None:
    assert read_json(orjson.dumps(EVENT), NOW_MS) == (read({"events": [EVENT]}), True)
    assert read_json(orjson.dumps({"events": [EVENT]}), NOW_MS)[1] is False
    assert read({"events": []}) == []


def test_lines_are_read_as_a_list_is() -> None:
    events = [EVENT, {**EVENT, "position": 4}]
    body = b"\n".join(orjson.dumps(event) for event in events)
    assert read_lines(body, NOW_MS) == read_lines(b"\r\n" + body + b"\n\n", NOW_MS) == read({"events": events})


@pytest.mark.parametrize(
    ("named", "candidate"),
    [
        ({"position": 0}, "#0"),
        ({"item": 7}, "7"),
        ({"item": "7"}, '"7"'),
        ({"item": "#3"}, '"#3"'),
        ({"item": "日本\0"}, '"日本\\u0000"'),
        ({"item": "x", "position": None}, '"x"'),
    ],
)
def test_a_candidate_is_named_in_one_way_and_items_of_different_types_stay_apart(
    named: dict[str, Any], candidate: str
) -> None:
    [sent] = read({"request_id": "r", "type": "impression", **named})
    assert sent.event.candidate == candidate


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (None, None),
        (0, 0),
        (1_760_000_000_123, 1_760_000_000_123),
        ("2025-10-09T08:53:20.123Z", 1_760_000_000_123),
        ("2025-10-09T10:53:20.123+02:00", 1_760_000_000_123),
    ],
)
def test_a_clients_time_is_milliseconds_or_iso_8601(ts: Any, expected: int | None) -> None:
    [sent] = read({**EVENT, "ts": ts})
    assert (sent.event.ts_client_ms, sent.event.ts_server_ms) == (expected, NOW_MS)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"request_id": None}, "request_id"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": "a b"}, "request_id"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"request_id": 7}, "request_id"),
        ({"type": "view"}, "type"),
        ({"type": None}, "type"),
        ({"type": ["click"]}, "type"),
        ({"position": None}, "position"),
        ({"item": "x"}, "position"),
        ({"position": -1}, "position"),
        ({"position": 1.0}, "position"),
        ({"position": True}, "position"),
        ({"position": 2**31}, "position"),
        ({"position": None, "item": 1.5}, "item"),
        ({"position": None, "item": False}, "item"),
        ({"position": None, "item": ""}, "item"),
        ({"position": None, "item": "x" * 1025}, "item"),
        ({"position": None, "item": {}}, "item"),
        ({"ts": -1}, "ts"),
        ({"ts": 1.5}, "ts"),
        ({"ts": True}, "ts"),
        ({"ts": 2**63}, "ts"),
        ({"ts": "yesterday"}, "ts"),
        ({"ts": "2025-10-09T08:53:20"}, "ts"),
        ({"ts": "1969-12-31T23:59:59Z"}, "ts"),
        ({"value": "1"}, "value"),
        ({"value": True}, "value"),
        ({"token": 1}, "token"),
        ({"token": "x" * 161}, "token"),
        ({"clicked": 1}, "clicked"),
    ],
)
def test_a_bad_event_is_named_by_its_index_and_field(changed: dict[str, Any], field: str) -> None:
    error = refused({"events": [EVENT, {**EVENT, **changed}]})
    assert error.problem is Problem.BAD_EVENT
    assert (error.extensions["position"], error.extensions["field"]) == (1, field)
    assert error.detail.startswith("event 1, ")
    assert "nothing was stored" in error.detail


@pytest.mark.parametrize("event", [None, 1, "click", [EVENT]])
def test_an_event_is_an_object(event: Any) -> None:
    assert refused({"events": [event]}).extensions["position"] == 0


@pytest.mark.parametrize("sent", [{"events": EVENT}, {"events": None}, {"events": [], "more": 1}])
def test_several_events_are_a_list_alone(sent: Any) -> None:
    assert refused(sent).problem is Problem.MALFORMED_REQUEST


def test_a_broken_line_is_named_by_its_index() -> None:
    with pytest.raises(ProblemError, match="event 1, column 2") as raised:
        read_lines(orjson.dumps(EVENT) + b"\n{,}\n", NOW_MS)
    assert raised.value.extensions["position"] == 1


def test_more_events_than_one_request_may_have_are_refused() -> None:
    assert len(read({"events": [EVENT] * MAX_EVENTS})) == MAX_EVENTS
    assert refused({"events": [EVENT] * (MAX_EVENTS + 1)}).problem is Problem.TOO_MANY_EVENTS


def outcome(sent: Any) -> int:
    try:
        read(sent)
    except ProblemError as error:
        return error.problem.status
    return 200


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["request_id", "item", "position", "type", "ts", "value", "token", "x"])


@given(st.dictionaries(KEYS, JSONS | st.sampled_from(["click", "r"])) | JSONS)
def test_whatever_is_sent_is_an_event_or_a_problem(sent: Any) -> None:
    for body in (sent, {"events": [sent]}):
        assert outcome(body) in {200, 422}
