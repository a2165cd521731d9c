from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TOKEN = "let me in, 3 a.m."  # noqa: S105 - the tests' own
ADMIN = {"authorization": f"Bearer {TOKEN}"}
ARMS = [{"name": "teacher", "weight": 5000}, {"name": "student", "weight": 5000}]


def document(**changes: Any) -> dict[str, Any]:
    return {"experiments": [{"name": "a", "arms": ARMS, **changes}]}


@pytest.fixture
def running(open_client: Any, tmp_path: Path) -> Any:
    """A service that keeps events and has an admin token."""
    return open_client(events=f"sqlite:{tmp_path}/events.sqlite3", admin_token=TOKEN)


def put(client: Any, decoded: Any, **headers: str) -> Any:
    return client.request("PUT", "/experiment", json=decoded, headers={**ADMIN, **headers})


def test_a_document_is_put_in_force_and_read_back(running: Any) -> None:
    assert running.get("/experiment").json()["revision"] == 0
    answer = put(running, document(ramp=5.0), **{"x-reason": "first day"})
    assert (answer.status_code, answer.json()) == (200, {"revision": 1})
    read = running.get("/experiment").json()
    assert read["document"]["experiments"][0]["ramp"] == 5.0
    assert read["models"] == ["student", "teacher"]
    assert [(kept["action"], kept["reason"]) for kept in read["revisions"]] == [("put", "first day")]


def test_what_is_read_can_be_put_again(running: Any) -> None:
    put(running, document())
    assert put(running, running.get("/experiment").json()["document"]).json() == {"revision": 2}


def test_the_documented_example_can_be_put(running: Any) -> None:
    operation = running.get("/openapi.json").json()["paths"]["/experiment"]["put"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert put(running, example).json() == {"revision": 1}


def test_toml_is_taken_too(running: Any) -> None:
    text = '[[experiments]]\nname = "a"\n' + "".join(
        f'[[experiments.arms]]\nname = "{arm["name"]}"\nweight = 5000\n' for arm in ARMS
    )
    headers = {**ADMIN, "content-type": "application/toml"}
    assert running.request("PUT", "/experiment", content=text, headers=headers).json() == {"revision": 1}


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        (document(arms=[{"name": "student", "weight": 9999}]), "experiments.0.arms", "at least 2"),
        (document(arms=[*ARMS[:1], {"name": "student", "weight": 4000}]), "experiments.0.arms", "9000"),
        (document(arms=[ARMS[0], {"name": "v9", "weight": 5000}]), "experiments.0.arms.1", "student, teacher"),
        ({"experiments": [{"name": "a", "arms": ARMS}, {"name": "b", "arms": ARMS}]}, "experiments.ranges", "overlap"),
        (document(arms=[{"name": "teacher", "weight": 4000}, {"name": "student", "weight": 6000}]), None, "phase = 2"),
    ],
)
def test_a_bad_document_is_refused_and_the_running_one_untouched(
    running: Any, changed: dict[str, Any], field: str | None, words: str
) -> None:
    put(running, document(ramp=5.0))
    refused = put(running, changed)
    assert refused.status_code == 422
    assert refused.json()["type"].endswith("bad-document")
    assert field is None or refused.json()["field"] == field
    assert words in refused.json()["detail"]
    read = running.get("/experiment").json()
    assert (read["revision"], read["document"]["experiments"][0]["ramp"]) == (1, 5.0)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"experiments": NaN}'])
def test_what_is_no_document_is_refused(running: Any, body: bytes) -> None:
    answer = running.request("PUT", "/experiment", content=body, headers=ADMIN)
    assert answer.status_code == 422
    assert answer.json()["expected"]


def test_if_match_guards_against_a_change_in_between(running: Any) -> None:
    put(running, document(ramp=5.0))
    assert put(running, document(ramp=6.0), **{"if-match": '"1"'}).json() == {"revision": 2}
    late = put(running, document(ramp=7.0), **{"if-match": "1"})
    assert (late.status_code, late.json()["type"]) == (412, "urn:problem-type:ctr:revision-conflict")
    assert put(running, document(), **{"if-match": "one"}).status_code == 422


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"])
def test_only_bearers_of_the_admin_token_change_anything(running: Any, method: str, given: str | None) -> None:
    path = "/experiment" if method == "PUT" else "/experiment/kill"
    answer = running.request(method, path, json=document(), headers={} if given is None else {"authorization": given})
    assert answer.status_code == 401
    assert TOKEN not in answer.text
    assert running.get("/experiment").json()["revision"] == 0


def test_without_an_admin_token_nobody_changes_anything(open_client: Any, tmp_path: Path) -> None:
    client = open_client(events=f"sqlite:{tmp_path}/events.sqlite3")
    answer = put(client, document())
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:problem-type:ctr:admin-off")


def test_without_an_event_store_there_are_no_experiments(open_client: Any) -> None:
    answer = open_client(events="", admin_token=TOKEN).get("/experiment")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:ctr:no-experiments")


def test_a_store_that_cannot_be_opened_leaves_predictions_and_says_why(open_client: Any, tmp_path: Path) -> None:
    (tmp_path / "events.sqlite3").write_bytes(b"not a database" * 100)
    client = open_client(events=f"sqlite:{tmp_path}/events.sqlite3")
    ready = client.get("/readyz").json()
    assert ready["degraded"]
    assert "events.sqlite3" in ready["reasons"]["experiments"]
    assert client.get("/experiment").status_code == 503


def test_the_kill_switch_sends_everybody_to_the_default_model(running: Any) -> None:
    put(running, document())
    request = {"context": {"user": "u3", "hour": 13}, "items": ["i1", "i2"]}
    arms = {running.post("/predict", json={"unit": f"u{i}", **request}).json()["arm"] for i in range(40)}
    assert arms == {"student", "teacher"}
    assert running.post("/experiment/kill", json={"reason": "p99"}, headers=ADMIN).json() == {"revision": 2}
    arms = {running.post("/predict", json={"unit": f"u{i}", **request}).json()["arm"] for i in range(40)}
    assert arms == {"student"}
    again = put(running, document())
    assert "phase = 2" in again.json()["detail"]
    assert put(running, document(phase=2)).status_code == 200


def test_killing_an_unknown_experiment_names_the_known_ones(running: Any) -> None:
    put(running, document())
    answer = running.post("/experiment/kill", json={"experiment": "b"}, headers=ADMIN)
    assert (answer.status_code, answer.json()["expected"]) == (422, "one of a")
    assert running.post("/experiment/kill", json={"experimnt": "a"}, headers=ADMIN).status_code == 422


def test_the_first_document_comes_from_the_settings_file(open_client: Any, tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text('[[experiments]]\nname = "a"\narms = [{name = "student", weight = 5000}, ')
    client = open_client(events=f"sqlite:{tmp_path}/e.sqlite3", experiment=file)
    reason = client.get("/readyz").json()["reasons"]["experiments"]
    assert reason.startswith(f"CTR_EXPERIMENT: {file}: document: got ")
    assert reason.endswith("(at end of document), expected TOML")
    file.write_text(
        '[[experiments]]\nname = "a"\narms = [{name = "student", weight = 5000}, {name = "teacher", weight = 5000}]\n'
    )
    client = open_client(events=f"sqlite:{tmp_path}/e.sqlite3", experiment=file)
    assert client.get("/experiment").json()["revisions"][0]["action"] == "start"
