from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from service.api import values
from service.api.values import ExampleResponse, ValuesResponse, found

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient

USERS = "/models/student/fields/user/values"
ITEMS = "/models/student/items"


def test_values_begin_with_the_prefix_and_come_in_the_vocabularys_order(client: Client) -> None:
    answer = client.get(USERS, params={"prefix": "u1"}).json()
    ValuesResponse.model_validate(answer)
    assert answer["values"] == ["u1", *(f"u{i}" for i in range(10, 20))]
    assert answer["known"] is True
    assert answer["total"] == 20


def test_a_prefix_that_is_no_value_is_not_known(client: Client) -> None:
    assert client.get(USERS, params={"prefix": "u"}).json()["known"] is False
    assert client.get(USERS, params={"prefix": "x"}).json() == {
        "values": [],
        "known": False,
        "searched": 20,
        "total": 20,
    }


def test_without_a_prefix_the_first_values_come(client: Client) -> None:
    assert client.get(USERS, params={"limit": "3"}).json()["values"] == ["u0", "u1", "u2"]


def test_values_may_be_in_any_script(client: Client) -> None:
    answer = client.get("/models/student/fields/category/values", params={"prefix": "日本"}).json()
    assert answer["values"] == ["日本語's"]


def test_a_field_in_buckets_has_no_values_to_offer(client: Client) -> None:
    answer = client.get("/models/student/fields/hour/values", params={"prefix": "1"}).json()
    assert answer == {"values": [], "known": False, "searched": 0, "total": 0}


def test_an_unknown_field_is_named_with_those_there_are(client: Client) -> None:
    response = client.get("/models/student/fields/usr/values")
    assert response.status_code == 404
    assert "user, hour, item, category, price" in response.json()["detail"]


def test_items_are_those_of_the_catalogue(client: Client) -> None:
    answer = client.get(ITEMS, params={"prefix": "i"}).json()
    assert answer["values"] == [f"i{i}" for i in range(10)]
    assert client.get(ITEMS, params={"prefix": "i7"}).json()["known"] is True


def test_without_a_catalogue_there_are_no_items(open_client: OpenClient, bundles: Path) -> None:
    response = open_client(student_bundle=bundles / "no-catalogue").get(ITEMS)
    assert response.status_code == 422
    assert response.json()["type"].endswith(":no-catalogue")


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1", "1e1", "٣", ""])
def test_a_limit_out_of_range_is_a_problem(client: Client, limit: str) -> None:
    for path in (USERS, ITEMS):
        response = client.get(path, params={"limit": limit})
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["field"] == "limit"


def test_the_example_is_answered_as_it_stands(client: Client) -> None:
    example = client.get("/models/student/example").json()
    ExampleResponse.model_validate(example)
    for form in ("items", "candidates"):
        body = {"context": example["context"], form: example[form]}
        assert client.post("/predict", json=body).status_code == 200


def test_an_example_without_items_says_so(open_client: OpenClient, bundles: Path) -> None:
    bare = open_client(student_bundle=bundles / "no-catalogue")
    assert bare.get("/models/student/example").json()["items"] == []


def test_without_a_student_there_are_no_values(open_client: OpenClient, tmp_path: Path) -> None:
    lost = open_client(student_bundle=tmp_path / "nowhere")
    for path in (USERS, ITEMS, "/models/student/example"):
        assert lost.get(path).status_code == 503


def test_a_search_looks_at_so_many_values_and_still_knows_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value beyond the ones searched is found when it is written in full."""
    monkeypatch.setattr(values, "MAX_SEARCHED", 10)
    many = [f"v{i}" for i in range(30)]

    def answer(prefix: str, *, known: bool) -> dict[str, Any]:
        parsed: dict[str, Any] = orjson.loads(found(many, prefix, 20, known=known))
        return parsed

    assert answer("v2", known=True)["values"] == ["v2"]
    assert answer("v25", known=True)["values"] == ["v25"]
    assert answer("v29", known=False) == {"values": [], "known": False, "searched": 10, "total": 30}
