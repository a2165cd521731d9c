from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from service.api.schemas import FeedbackRequest, FeedbackResponse
from service.events.reading import read_phase
from service.events.store import Batch
from service.experiment.tokens import TokenSigner
from tests.service.events.builders import exposure

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Client, OpenClient

DAY_MS = 24 * 3_600_000
KEY = "0123456789abcdef"
NDJSON = {"content-type": "application/x-ndjson"}


def event(request_id: str = "r", **given: Any) -> dict[str, Any]:
    return {"request_id": request_id, "position": 0, "type": "click", **given}


@pytest.fixture
def client(open_client: OpenClient, tmp_path: Path) -> Client:
    """An app with an empty store of its own."""
    return open_client(events=f"sqlite:{tmp_path}/events.sqlite3")


def store_of(client: Client) -> Any:
    return client.app.service_state.running.log._store


def stored(client: Client) -> int:
    with store_of(client).reading() as session:
        return int(session.rows("SELECT COUNT(*) FROM feedback")[0][0])


def expose(client: Client, request_id: str, ago_ms: int = 0) -> None:
    now_ms = time.time_ns() // 1_000_000
    store_of(client).write(Batch(exposures=[exposure(request_id, ts_ms=now_ms - ago_ms)]))


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].rpartition(":")[2]


def test_what_became_of_each_event_is_answered_in_order(client: Client) -> None:
    expose(client, "r")
    expose(client, "old", ago_ms=DAY_MS + 1000)
    sent = [event(), event(), event("old"), event("nobody"), event(item="i1", position=None, type="impression")]
    response = client.post("/feedback", json={"events": sent})
    assert response.status_code == 200
    assert response.json() == {
        "accepted": 2,
        "duplicates": 1,
        "late": 1,
        "unknown": 1,
        "refused": 0,
        "results": ["accepted", "duplicate", "late", "unknown", "accepted"],
    }
    assert stored(client) == 4


def test_one_bare_event_is_told_whether_it_is_a_duplicate(client: Client) -> None:
    first, second = (client.post("/feedback", json=event()).json() for _ in range(2))
    assert (first["duplicate"], first["results"]) == (False, ["unknown"])
    assert (second["duplicate"], second["results"]) == (True, ["duplicate"])


def test_lines_are_stored_too(client: Client) -> None:
    body = b"".join(orjson.dumps(event(position=i)) + b"\n" for i in range(300))
    assert client.post("/feedback", content=body, headers=NDJSON).json()["unknown"] == 300
    assert stored(client) == 300


@pytest.mark.parametrize("lines", [False, True])
def test_of_a_body_with_one_bad_event_nothing_is_stored(client: Client, *, lines: bool) -> None:
    events = [event(), event(), event(type="view")]
    if lines:
        response = client.post("/feedback", content=b"\n".join(map(orjson.dumps, events)), headers=NDJSON)
    else:
        response = client.post("/feedback", json={"events": events})
    assert problem(response) == (422, "bad-event")
    assert (response.json()["position"], response.json()["field"]) == (2, "type")
    assert stored(client) == 0


def test_another_content_type_is_415(client: Client) -> None:
    response = client.post("/feedback", content=b"x", headers={"content-type": "text/plain"})
    assert problem(response) == (415, "unsupported-media-type")
    assert "application/x-ndjson" in response.json()["expected"]


def test_too_many_events_are_413(client: Client) -> None:
    assert problem(client.post("/feedback", json={"events": [event()] * 1001})) == (413, "too-many-events")


def test_too_many_bytes_are_413(open_client: OpenClient, tmp_path: Path) -> None:
    client = open_client(events=f"sqlite:{tmp_path}/e.sqlite3", max_body_bytes=100)
    assert problem(client.post("/feedback", json=event("x" * 100))) == (413, "body-too-large")


def test_every_outcome_is_counted_by_type(client: Client) -> None:
    expose(client, "r")
    client.post("/feedback", json={"events": [event(), event(), event(type="impression"), event("nobody")]})
    counted = {
        (kind, result): client.metric("ctr_feedback_total", type=kind, result=result)
        for kind in ("click", "impression")
        for result in ("accepted", "duplicate", "unknown")
    }
    assert counted == {
        ("click", "accepted"): 1,
        ("click", "duplicate"): 1,
        ("click", "unknown"): 1,
        ("impression", "accepted"): 1,
        ("impression", "duplicate"): 0,
        ("impression", "unknown"): 0,
    }


@pytest.fixture
def signed(open_client: OpenClient, tmp_path: Path) -> tuple[Client, Callable[..., str]]:
    """An app that asks for tokens, and what makes them."""
    client = open_client(events=f"sqlite:{tmp_path}/events.sqlite3", token_key=KEY)
    signer = TokenSigner(KEY.encode())

    def sign(request_id: str, candidates: int = 3, ago_ms: int = 0) -> str:
        return signer.sign(request_id, "student", time.time_ns() // 1_000_000 - ago_ms, candidates)

    return client, sign


def test_feedback_with_its_answers_token_is_stored(signed: tuple[Client, Callable[..., str]]) -> None:
    client, sign = signed
    sent = [event("r1", token=sign("r1"), position=2), event("r2", token=sign("r2"), position=None, item="any")]
    assert client.post("/feedback", json={"events": sent}).json()["results"] == ["unknown", "unknown"]


def test_a_late_click_with_its_token_is_stored_as_late(signed: tuple[Client, Callable[..., str]]) -> None:
    client, sign = signed
    expose(client, "old", ago_ms=DAY_MS + 1000)
    sent = event("old", token=sign("old", ago_ms=DAY_MS + 1000), position=2)
    assert client.post("/feedback", json=sent).json()["results"] == ["late"]


def test_a_foreign_token_is_refused_beside_events_that_are_stored(signed: tuple[Client, Callable[..., str]]) -> None:
    client, sign = signed
    sent = [
        event("r1", token=sign("r2")),
        event("r1", token=sign("r1")),
        event("r1", token=sign("r1"), position=3),
        event("r1", token=sign("r1")[:-4] + "AAAA", position=1),
    ]
    answer = client.post("/feedback", json={"events": sent}).json()
    assert answer["results"] == ["refused", "unknown", "refused", "refused"]
    assert answer["refused"] == 3
    assert stored(client) == 1
    assert client.metric("ctr_feedback_total", type="click", result="refused") == 3


def test_nothing_but_foreign_tokens_is_403(signed: tuple[Client, Callable[..., str]]) -> None:
    client, sign = signed
    response = client.post("/feedback", json=event("r1", token=sign("r2")))
    assert problem(response) == (403, "token-refused")
    assert "does not belong to this request" in response.json()["detail"]
    assert stored(client) == 0


def test_a_missing_token_is_422(signed: tuple[Client, Callable[..., str]]) -> None:
    client, sign = signed
    response = client.post("/feedback", json={"events": [event("r1", token=sign("r1")), event("r1")]})
    assert problem(response) == (422, "bad-event")
    assert (response.json()["position"], response.json()["field"]) == (1, "token")
    assert stored(client) == 0


def test_without_a_store_feedback_is_503_with_why(open_client: OpenClient) -> None:
    response = open_client(events="").post("/feedback", json=event())
    assert problem(response) == (503, "no-experiments")
    assert "CTR_EVENTS" in response.json()["detail"]


def test_a_full_disk_is_507_and_the_same_events_are_stored_once_there_is_room(client: Client) -> None:
    """`max_page_count` makes SQLite itself report a full disk."""
    store = store_of(client)
    sent = {"events": [event(f"r{i}", position=j) for i in range(10) for j in range(100)]}
    limit_pages(store, 1)
    response = client.post("/feedback", json=sent)
    assert problem(response) == (507, "store-full")
    assert "make room" in response.json()["detail"]
    assert stored(client) == 0
    limit_pages(store, 1 << 30)
    assert client.post("/feedback", json=sent).json()["unknown"] == 1000
    assert client.metric("ctr_feedback_total", type="click", result="failed") == 1000


def limit_pages(store: Any, pages: int) -> None:
    with store._write_lock:
        store._writer.execute(f"PRAGMA max_page_count={pages}")


def test_a_store_that_is_away_is_503_with_when_to_come_again(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3  # noqa: PLC0415 - beside its only use

    store_of(client)._writer.execute("PRAGMA busy_timeout=50")
    other = sqlite3.connect(tmp_path / "events.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    response = client.post("/feedback", json=event())
    assert problem(response) == (503, "store-away")
    assert response.headers["retry-after"] == "1"
    other.execute("ROLLBACK")
    other.close()
    assert client.post("/feedback", json=event()).status_code == 200


def test_the_documented_examples_are_answered_as_they_stand(client: Client) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/feedback"]["post"]
    content = operation["requestBody"]["content"]
    for example in content["application/json"]["examples"].values():
        FeedbackRequest.model_validate(example["value"])
        FeedbackResponse.model_validate(client.post("/feedback", json=example["value"]).json())
    lines = client.post("/feedback", content=content["application/x-ndjson"]["example"].encode(), headers=NDJSON)
    assert lines.status_code == 200
    assert {"403", "413", "415", "422", "503", "507"} <= set(operation["responses"])


def test_feedback_is_timed_under_its_own_route(client: Client) -> None:
    client.post("/feedback", json=event())
    labels = {"route": "/feedback", "arm": "none", "status_class": "2xx"}
    assert client.metric("ctr_request_duration_seconds_count", **labels) == 1


EXPERIMENT = """
[[experiments]]
name = "e"
arms = [{name = "a", model = "student", weight = 5000}, {name = "b", model = "student", weight = 5000}]
"""


def test_from_prediction_to_report_a_click_finds_the_probability_of_its_candidate(
    open_client: OpenClient, tmp_path: Path
) -> None:
    """The whole way: exposure, answer with its token, feedback by item and by position, the rows of a report."""
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    client = open_client(
        events=f"sqlite:{tmp_path}/events.sqlite3", token_key=KEY, experiment=tmp_path / "experiment.toml"
    )
    body = {"unit": "u", "context": {"user": "u3", "hour": 13}, "items": ["i4", "i1", "i2"]}
    answer = client.post("/predict", json=body).json()
    named = {"request_id": answer["request_id"], "token": answer["token"]}
    sent = [{**named, "item": "i1", "type": "impression"}, {**named, "position": 1, "type": "click"}]
    assert client.post("/feedback", json={"events": sent}).json()["unknown"] in {0, 2}  # the exposure may be on its way
    client.app.service_state.running.log.close()
    rows = read_phase(store_of(client), "e", 1)
    assert rows.position_I.tolist() == [1]
    assert rows.clicked_I.tolist() == [True]
    assert rows.probability_I.tolist() == pytest.approx([answer["probabilities"][1]], rel=1e-6)
    assert rows.arms == (answer["arm"],)
