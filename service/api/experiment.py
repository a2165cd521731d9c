"""GET and PUT /experiment, POST /experiment/kill: the document in force, its history, and who may change it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request, Response

from service.api import openapi
from service.api.admin import check_admin
from service.api.hot import JSON
from service.api.problems import Problem, ProblemError
from service.api.schemas import ExperimentResponse, KillRequest, RevisionResponse
from service.events.store import StoreError
from service.experiment.document import Document, DocumentError, read_json, read_toml
from service.experiment.live import RevisionConflictError
from service.experiment.running import Running
from service.state import State

TOML = "application/toml"
REASON = "x-reason"
"""Header of PUT /experiment: why, kept with the revision."""

EXAMPLE = {
    "experiments": [
        {
            "name": "student-vs-teacher",
            "ramp": 10.0,
            "arms": [{"name": "teacher", "weight": 5000}, {"name": "student", "weight": 5000}],
            "analysis": {"goal": "non_inferiority", "margin": 0.01},
        }
    ],
    "shadow": {"share": 0.1},
}
"""A document as /openapi.json shows it."""
KILL_EXAMPLE = {"experiment": "student-vs-teacher", "reason": "clicks fell after the release of 14:00"}

T = TypeVar("T")


def add_experiment_routes(router: APIRouter, state: State) -> None:
    """Add the routes of the document."""

    async def read(_request: Request) -> Response:
        live = running_of(state).live
        revisions = await _stored(live.revisions)
        described = [
            {key: value for key, value in asdict(revision).items() if key != "document"} for revision in revisions
        ]
        current = live.current
        return _json(
            {
                "revision": current.revision,
                "document": current.document.model_dump(mode="json"),
                "models": state.answering,
                "revisions": described,
            }
        )

    async def replace(request: Request) -> Response:
        check_admin(request.scope, state.settings)
        live = running_of(state).live
        document = _document(request, await request.body())
        expected, reason = _expected(request), request.headers.get(REASON, "")[:500]
        return _json({"revision": await _stored(lambda: live.put(document, reason=reason, expected=expected))})

    async def kill(request: Request) -> Response:
        check_admin(request.scope, state.settings)
        live = running_of(state).live
        experiment, reason = _kill_of(await request.body())
        return _json({"revision": await _stored(lambda: live.kill(experiment, reason=reason))})

    summary = "The experiments in force and every revision before"
    responses: dict[int | str, dict[str, Any]] = {200: {"model": ExperimentResponse}, **openapi.problem_responses(503)}
    router.add_api_route("/experiment", read, methods=["GET"], summary=summary, responses=responses)
    summary = "Put other experiments in force in every worker within a second; admin token, TOML or JSON"
    extra = _body({JSON: {**_schema("Document"), "example": EXAMPLE}, TOML: {"schema": {"type": "string"}}})
    router.add_api_route(
        "/experiment", replace, methods=["PUT"], summary=summary, openapi_extra=extra, responses=_changed()
    )
    summary = "Send every unit to the default model in every worker within a second; admin token"
    extra = _body({JSON: {**_schema("KillRequest"), "example": KILL_EXAMPLE}})
    router.add_api_route(
        "/experiment/kill", kill, methods=["POST"], summary=summary, openapi_extra=extra, responses=_changed()
    )


def _changed() -> dict[int | str, dict[str, Any]]:
    return {200: {"model": RevisionResponse}, **openapi.problem_responses(401, 403, 412, 422, 503)}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _schema(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def running_of(state: State) -> Running:
    """What runs the experiments and keeps the events; raises ProblemError (503) where nothing does, saying why."""
    if state.running is None:
        reason = state.reasons.get("experiments", "CTR_EVENTS is empty")
        raise ProblemError(Problem.NO_EXPERIMENTS, f"there are no experiments: {reason}; set it right and start again")
    return state.running


async def _stored(act: Callable[[], T]) -> T:
    """What `act` returns, on a thread because it waits for the store; its errors as problems."""
    try:
        return await asyncio.to_thread(act)
    except DocumentError as error:
        raise _refused(error) from None
    except RevisionConflictError as error:
        raise ProblemError(Problem.REVISION_CONFLICT, str(error)) from None
    except StoreError as error:
        detail = f"{error}; nothing has changed, try again"
        raise ProblemError(Problem.STORE_AWAY, detail, headers={"retry-after": "1"}) from None


def _document(request: Request, body: bytes) -> Document:
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == TOML:
            return read_toml(body.decode("utf-8", "replace"))
        return read_json(body)
    except DocumentError as error:
        raise _refused(error) from None


def _refused(error: DocumentError) -> ProblemError:
    detail = f"{error}; what is in force stays"
    return ProblemError(Problem.BAD_DOCUMENT, detail, field=error.field, got=error.got, expected=error.expected)


def _expected(request: Request) -> int | None:
    """The revision in If-Match, with or without quotes."""
    given = request.headers.get("if-match")
    if given is None:
        return None
    number = given.strip().strip('"')
    if not number.isdecimal():
        expected = "the number of a revision"
        raise ProblemError(
            Problem.BAD_VALUE, f"If-Match is {given[:80]!r}, expected {expected}", field="If-Match", expected=expected
        )
    return int(number)


def _kill_of(body: bytes) -> tuple[str | None, str]:
    """Experiment, None for every one, and reason."""
    try:
        request = KillRequest.model_validate_json(body or b"{}")
    except ValueError as error:
        expected = '{"experiment": name or null, "reason": text}'
        raise ProblemError(Problem.MALFORMED_REQUEST, f"{error}"[:300], expected=expected) from None
    return request.experiment, request.reason


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type=JSON)
