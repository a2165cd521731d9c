from __future__ import annotations

import asyncio
import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from service.api.problems import MEDIA_TYPE, Problem, ProblemError, on_http_exception, shown, to_response


def test_a_problem_has_the_members_of_the_standard_and_those_that_apply() -> None:
    error = ProblemError(Problem.BAD_VALUE, "no", field="price", position=0, got="'x'", expected="a number")
    response = to_response(error, "/predict")
    assert response.status_code == 422
    assert response.headers["content-type"] == MEDIA_TYPE
    assert json.loads(response.body) == {
        "type": "urn:problem-type:ctr:bad-value",
        "title": Problem.BAD_VALUE.title,
        "status": 422,
        "detail": "no",
        "field": "price",
        "position": 0,
        "got": "'x'",
        "expected": "a number",
    }


def test_members_that_do_not_apply_are_absent() -> None:
    body = json.loads(to_response(ProblemError(Problem.NOT_FOUND, "no"), "/predict").body)
    assert set(body) == {"type", "title", "status", "detail"}


def test_headers_are_sent() -> None:
    response = to_response(ProblemError(Problem.TEACHER_BUSY, "later", headers={"retry-after": "1"}), "/predict")
    assert response.headers["retry-after"] == "1"


def test_unpaired_surrogates_do_not_break_the_answer() -> None:
    body = json.loads(to_response(ProblemError(Problem.BAD_VALUE, "got \ud800", got="\udfff"), "/predict").body)
    assert body["detail"] == "got ?"
    assert body["got"] == "?"


@pytest.mark.parametrize("value", [[1] * 10_000, {"a": 1}, "x" * 10_000, 10**300, None])
def test_what_is_shown_of_a_value_is_short(value: object) -> None:
    assert 0 < len(shown(value)) <= 161


@pytest.mark.parametrize(("path", "form"), [("/v2", "v2"), ("/v2/x", "v2"), ("/v2x", "problem"), ("/a/v2/", "problem")])
def test_under_v2_an_error_has_the_protocols_form_and_malformed_is_400(path: str, form: str) -> None:
    statuses = {problem: to_response(ProblemError(problem, "why \ud800"), path) for problem in Problem}
    for problem, response in statuses.items():
        if form == "v2":
            assert json.loads(response.body) == {"error": "why ?"}
            assert response.media_type == "application/json"
            assert response.status_code == {422: 400}.get(problem.status, problem.status)
        else:
            assert response.media_type == "application/problem+json"
            assert response.status_code == json.loads(response.body)["status"] == problem.status


def test_every_problem_has_a_slug_of_its_own() -> None:
    slugs = [problem.slug for problem in Problem]
    assert len(set(slugs)) == len(slugs)


def test_any_other_error_of_the_framework_keeps_its_status() -> None:
    request = Request({"type": "http", "method": "GET", "path": "/predict", "headers": []})
    response = asyncio.run(on_http_exception(request, HTTPException(418, "short and stout")))
    assert response.status_code == 418
    assert json.loads(response.body)["status"] == 418
    assert json.loads(response.body)["detail"] == "short and stout"
