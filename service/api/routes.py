"""Routes: thin adapters between HTTP and the state of the app.

The predict routes, and the infer routes of `service.api.v2`, read the raw body and write raw bytes, because a typed
body and a typed answer would cost more than the student does. `service.api.hot` calls their endpoints before the router
is asked; the routes here document them.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.types import Scope

from service.api import openapi
from service.api.answers import Probabilities, answer
from service.api.hot import JSON, Answer, Endpoint, HotPath, answered, header
from service.api.problems import Problem, ProblemError, shown
from service.api.requests import decode
from service.api.respond import respond
from service.api.schemas import HealthResponse, ModelsResponse, PredictResponse, ReadyResponse
from service.api.v2.routes import add_v2_routes, hot_infer_paths
from service.middleware import call_of
from service.scoring import Logits
from service.state import STUDENT, TEACHER, Arm, State, described

PREDICT_PATHS = {"/predict": STUDENT, "/student/predict": STUDENT, "/teacher/predict": TEACHER}
"""Path → the arm that answers it."""

_JSON = JSON.encode()


def build_router(state: State) -> APIRouter:
    """Every route of the service, bound to `state`."""
    router = APIRouter()
    _add_predict_routes(router, state)
    _add_operation_routes(router, state)
    add_v2_routes(router, state)
    return router


def hot_paths(state: State) -> dict[str, HotPath]:
    """Path → what answers it before the router is asked, for the arms and models there are now."""
    predict_paths = {path: HotPath(path, _endpoint(state, arm)) for path, arm in PREDICT_PATHS.items()}
    return {**predict_paths, **hot_infer_paths(state)}


async def predict(arm: Arm, scope: Scope, body: bytes) -> Answer:
    """Answer one request with one arm; raises ProblemError."""
    received = perf_counter()
    call = call_of(scope)
    _check_content_type(scope)
    decoded = decode(body)
    decoded_at = perf_counter()
    encoded = arm.model.reader.encode(decoded)
    encoded_at = perf_counter()
    call.request_id = encoded.request_id or call.request_id
    return await respond(
        arm,
        encoded,
        decode_s=decoded_at - received,
        encode_s=encoded_at - decoded_at,
        render=partial(_predict_answer, arm, call.request_id),
    )


def _endpoint(state: State, arm: str) -> Endpoint:
    async def predict_with_arm(scope: Scope, body: bytes) -> Answer:
        call_of(scope).arm = arm
        return await predict(state.arm(arm), scope, body)

    return predict_with_arm


def _predict_answer(arm: Arm, request_id: str, _logits_N: Logits, probabilities_N: Probabilities) -> Answer:
    return Answer(
        answer(
            request_id=request_id, arm=arm.name, model=arm.model.name, probabilities_N=probabilities_N, fallback=False
        )
    )


def _check_content_type(scope: Scope) -> None:
    """Raise 415 unless the body is declared as JSON."""
    declared = header(scope, b"content-type") or b""
    if declared != _JSON and declared.partition(b";")[0].strip().lower() != _JSON:
        got = shown(declared.decode("latin-1")) if declared else "no Content-Type"
        raise ProblemError(
            Problem.UNSUPPORTED_MEDIA_TYPE, f"got {got}, expected Content-Type: {JSON}", got=got, expected=JSON
        )


def _add_predict_routes(router: APIRouter, state: State) -> None:
    problems = openapi.problem_responses(413, 415, 422, 500, 503)

    async def predict_with_student(request: Request) -> Response:
        return await answered(_endpoint(state, STUDENT), request)

    async def predict_with_teacher(request: Request) -> Response:
        return await answered(_endpoint(state, TEACHER), request)

    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": PredictResponse, "description": "One probability per candidate."}
    }
    late = openapi.problem_responses(504)
    for path, answer_with, responses, summary in (
        ("/predict", predict_with_student, problems, "Click probabilities of N candidates in one context"),
        ("/student/predict", predict_with_student, problems, "The same, by the student whatever the experiment says"),
        (
            "/teacher/predict",
            predict_with_teacher,
            {**problems, **late},
            "The same, by the teacher: slower, with a deadline",
        ),
    ):
        router.add_api_route(
            path,
            answer_with,
            methods=["POST"],
            operation_id=path.strip("/").replace("/", "_"),
            summary=summary,
            openapi_extra=openapi.request_body(),
            responses={**answers, **responses},
        )


def _add_operation_routes(router: APIRouter, state: State) -> None:
    @router.get("/healthz", summary="Whether the process is alive", responses={200: {"model": HealthResponse}})
    async def healthz() -> Response:
        return Response(b'{"status":"alive"}', media_type=JSON)

    @router.get(
        "/readyz",
        summary="Whether requests are answered",
        description="Ready once the student's bundle was read, its golden requests were met within 1e-5 and its raw "
        "example was answered as it should be. A teacher that is missing or bad only makes it degraded.",
        responses={200: {"model": ReadyResponse}, **openapi.problem_responses(503)},
    )
    async def readyz() -> Response:
        if STUDENT not in state.arms:
            raise state.not_ready()
        arms = {name: arm.model.name for name, arm in state.arms.items()}
        ready = {"status": "ready", "degraded": bool(state.reasons), "arms": arms, "reasons": state.reasons}
        return Response(orjson.dumps(ready), media_type=JSON)

    @router.get("/models", summary="The models being served", responses={200: {"model": ModelsResponse}})
    async def models() -> Response:
        arms = {name: described(arm) for name, arm in state.arms.items()}
        return Response(orjson.dumps({"arms": arms}), media_type=JSON)

    # Not async: a scrape renders for milliseconds, so it runs on a thread and not between two requests.
    @router.get("/metrics", summary="Metrics in Prometheus' text format", response_class=Response)
    def metrics() -> Response:
        return Response(state.metrics.scrape(), media_type=CONTENT_TYPE_LATEST)
