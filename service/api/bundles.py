"""POST /models/{arm}/reload and /rollback: another version of an arm's bundle, without a restart; admin token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from service.api import openapi
from service.api.admin import check_admin
from service.api.hot import JSON
from service.api.problems import Problem, ProblemError, shown
from service.api.schemas import RollbackRequest, SwapResponse
from service.bundle import BundleError
from service.following import Follower, NoBundleError, Swapped
from service.settings import Settings


def add_bundle_routes(router: APIRouter, settings: Settings, follower: Follower) -> None:
    """Add both routes."""

    async def reload(request: Request, arm: str) -> Response:
        check_admin(request.scope, settings)
        return await _swapped(lambda: follower.reload(arm))

    async def rollback(request: Request, arm: str) -> Response:
        check_admin(request.scope, settings)
        version = _version_of(await request.body())
        return await _swapped(lambda: follower.rollback(arm, version))

    responses: dict[int | str, dict[str, Any]] = {
        200: {"model": SwapResponse},
        **openapi.problem_responses(401, 403, 404, 409, 422),
    }
    summary = "Serve the version that the bundle's CURRENT names, now; admin token"
    router.add_api_route("/models/{arm}/reload", reload, methods=["POST"], summary=summary, responses=responses)
    summary = "Serve the version that was current before, or the one named, in every worker; admin token"
    router.add_api_route(
        "/models/{arm}/rollback",
        rollback,
        methods=["POST"],
        summary=summary,
        openapi_extra={
            "requestBody": {
                "required": False,
                "content": {
                    JSON: {"schema": {"$ref": "#/components/schemas/RollbackRequest"}, "example": {"version": None}}
                },
            }
        },
        responses=responses,
    )


async def _swapped(swap: Callable[[], Awaitable[Swapped]]) -> Response:
    try:
        swapped = await swap()
    except NoBundleError as error:
        raise ProblemError(Problem.UNKNOWN_MODEL, str(error)) from None
    except BundleError as error:
        raise ProblemError(Problem.BUNDLE_REFUSED, str(error)) from None
    return Response(orjson.dumps({**asdict(swapped), "changed": swapped.changed}), media_type=JSON)


def _version_of(body: bytes) -> str | None:
    """The version that a body asks for; None for the previous one."""
    if not body:
        return None
    try:
        return RollbackRequest.model_validate_json(body).version
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "body"
        expected = '{"version": name} or no body'
        detail = f"{field}: {first['msg']}, expected {expected}"
        raise ProblemError(
            Problem.MALFORMED_REQUEST, detail, field=field, got=shown(body[:80]), expected=expected
        ) from None
