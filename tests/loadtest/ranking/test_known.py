"""Against the real routes of the tiny service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from loadtest.bench.client import Answer
from loadtest.ranking.known import Get, NotKnownError, described, learn
from loadtest.ranking.prepared import Traffic, prepare
from service.bundle import Bundle


def getting(client: Any) -> Get:
    def get(path: str) -> Answer:
        answer = client.get(path)
        return Answer(answer.status_code, dict(answer.headers), answer.content)

    return get


def test_a_service_tells_its_fields_values_and_items(client: Any, bundle: Bundle) -> None:
    known = learn(getting(client))
    assert bundle.catalogue is not None
    assert tuple(known.items) == tuple(bundle.catalogue.items)
    assert list(known.context) == [field.name for field in bundle.schema.context]
    assert set(known.context["user"]) == set(bundle.encoder.vocabularies["user"].values)
    assert "10 items" in described(known)


@pytest.mark.parametrize("form", ["student", "no-context", "no-catalogue"])
def test_every_request_made_of_it_is_answered(form: str, bundles: Path, open_client: Any) -> None:
    client = open_client(student_bundle=bundles / form)
    made = prepare(learn(getting(client)), Traffic(requests=40, candidates=6, most=9), "test", "/predict")
    for number, request in enumerate(made):
        head, _, body = request.message(b"id-%017d" % number).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        answer = client.post_body("/predict", body)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["probabilities"]) == request.candidates
        assert answer.json()["request_id"] == f"id-{number:017d}"


def test_values_of_many_thousands_are_found_by_longer_and_longer_prefixes() -> None:
    every = [f"u{number}" for number in range(4321)]

    def get(path: str) -> Answer:
        if path.endswith("/example"):
            return json({"context": {"user": "u1"}, "candidates": {"item": ["i"]}, "items": ["i"]})
        prefix = path.rpartition("prefix=")[2]
        found = [value for value in every if value.startswith(prefix)]
        return json({"values": found[:100], "total": len(every)})

    known = learn(get)
    assert len(known.context["user"]) == len(set(known.context["user"])) == 1000
    assert set(known.items) == set(every)


def test_numbers_without_a_vocabulary_are_spread_around_the_example() -> None:
    def get(path: str) -> Answer:
        if path.endswith("/example"):
            return json({"context": {"hour": 13, "missing": None}, "candidates": {"price": [2.0]}, "items": []})
        return json({"values": [], "total": 0})

    known = learn(get)
    assert known.context["missing"] == [None]
    assert known.context["hour"][0] == 1
    assert known.context["hour"][-1] == 130
    assert np.median([float(value or 0) for value in known.candidate["price"]]) == pytest.approx(2)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(503, {}, b'{"type": "not-ready"}'), "got 503, expected 200 of a service that is ready"),
        (Answer(200, {}, b"<html>"), "expected JSON; is this the service?"),
        (Answer(200, {}, b'{"hello": 1}'), "expected context, candidates and items"),
        (ConnectionRefusedError(111, "refused"), "start it or correct --host"),
    ],
)
def test_what_is_not_the_service_is_one_line(answer: Answer | OSError, expected: str) -> None:
    def get(_path: str) -> Answer:
        if isinstance(answer, OSError):
            raise answer
        return answer

    with pytest.raises(NotKnownError) as refused:
        learn(get)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def json(value: Any) -> Answer:
    return Answer(200, {}, orjson.dumps(value))
