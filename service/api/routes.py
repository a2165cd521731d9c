"""Routes: thin adapters between HTTP and the state of the app.

The predict routes, and the infer routes of `service.api.v2`, read the raw body and write raw bytes, because a typed
body and a typed answer would cost more than the student does. `service.api.hot` calls their endpoints before the router
is asked; the routes here document them.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.api import openapi
from service.api.bundles import add_bundle_routes
from service.api.experiment import add_experiment_routes, running_of
from service.api.explain import add_explain_routes
from service.api.feedback import PATH as FEEDBACK
from service.api.feedback import add_feedback_routes, feedback_path
from service.api.hot import JSON, HotPath, answered
from service.api.page import add_page_routes
from service.api.predict import arm_endpoint, assigned_endpoint
from service.api.report import add_report_routes
from service.api.schemas import HealthResponse, ModelsResponse, PredictResponse, ReadyResponse
from service.api.v2.routes import add_v2_routes, hot_infer_paths
from service.api.values import add_value_routes
from service.following import Follower
from service.state import STUDENT, TEACHER, State, described

PREDICT_PATHS = {"/predict": STUDENT, "/student/predict": STUDENT, "/teacher/predict": TEACHER}
"""Path → the arm that answers it; /predict's own as long as no experiment says otherwise."""


def build_router(state: State, follower: Follower) -> APIRouter:
    """Every route of the service, bound to `state`."""
    router = APIRouter()
    _add_predict_routes(router, state)
    _add_operation_routes(router, state)
    add_bundle_routes(router, state.settings, follower)
    add_experiment_routes(router, state)
    add_report_routes(router, state.settings)
    add_feedback_routes(router, _feedback_path(state))
    add_v2_routes(router, state)
    add_explain_routes(router, state)
    add_value_routes(router, state)
    add_page_routes(router)
    return router


def hot_paths(state: State) -> dict[str, HotPath]:
    """Path → what answers it before the router is asked, for the arms and models there are now."""
    predict_paths = {path: HotPath(path, arm_endpoint(state, arm)) for path, arm in PREDICT_PATHS.items()}
    predict_paths["/predict"] = HotPath("/predict", assigned_endpoint(state))
    return {**predict_paths, **hot_infer_paths(state), FEEDBACK: _feedback_path(state)}


def _feedback_path(state: State) -> HotPath:
    return feedback_path(lambda: running_of(state).log, state.signer, state.metrics)


def _add_predict_routes(router: APIRouter, state: State) -> None:
    problems = openapi.problem_responses(413, 415, 422, 500, 503)

    async def predict(request: Request) -> Response:
        return await answered(assigned_endpoint(state), request)

    async def predict_with_student(request: Request) -> Response:
        return await answered(arm_endpoint(state, STUDENT), request)

    async def predict_with_teacher(request: Request) -> Response:
        return await answered(arm_endpoint(state, TEACHER), request)

    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": PredictResponse, "description": "One probability per candidate."}
    }
    late = openapi.problem_responses(504)
    for path, answer_with, responses, summary in (
        ("/predict", predict, problems, "Click probabilities of N candidates in one context"),
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
