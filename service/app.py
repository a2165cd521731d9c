"""The app: the one place that knows all the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access import AccessLog
from service.api import openapi
from service.api.hot import HotPath, HotPaths
from service.api.problems import ProblemError, on_http_exception, on_problem
from service.api.routes import PREDICT_PATHS, build_router, hot_paths
from service.api.v2.documents import infer_examples
from service.api.v2.routes import INFER_PATHS
from service.bundle import Bundle
from service.cpus import effective_cpus
from service.experiment.metrics import ExperimentMetrics
from service.experiment.start import experiments
from service.following import Follower
from service.metrics import NO_ARM, Metrics
from service.middleware import BodyLimit, Observe, call_of
from service.models import example_requests
from service.remote import opened
from service.scoring import ScorerFactory
from service.settings import Settings
from service.shadow.shadow import make_shadow
from service.state import ARMS, STUDENT, State
from service.telling import telling
from service.vitals import Vitals

# FastAPI's own spans and log records of refused requests would hold bodies, and come twice beside service.traces.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
DESCRIPTION = "Click probabilities of candidates by a DAGFM student, and by the teacher it was distilled from."
VERSION = "0.1.0"


class Service(FastAPI):
    """A FastAPI app behind middleware of its own, with an OpenAPI document that shows the student's own example.

    The middleware and the hot paths stand around the framework, not inside it: what it does to every request on the
    way in costs as much as they do.
    """

    def __init__(self, state: State, hot: Mapping[str, HotPath], **options: Any) -> None:
        super().__init__(**options)
        self.service_state = state
        self._inside: ASGIApp = super().__call__
        limited = BodyLimit(HotPaths(self._inside, hot, self._received), max_body_bytes=state.settings.max_body_bytes)
        observed = Observe(limited, state.metrics, AccessLog(state.settings.slow_ms))
        self._outermost: ASGIApp = state.telling.around(observed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or start and stop."""
        await self._outermost(scope, receive, send)

    def _received(self, scope: Scope, seconds: float) -> None:
        """Time how long a prediction's body took to arrive; feedback is answered by no arm."""
        arm = call_of(scope).arm
        if arm != NO_ARM:
            self.service_state.metrics.received(arm, seconds)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, built at first use after the bundles were loaded."""
        if self.openapi_schema is None:
            student = self.service_state.arms.get(STUDENT)
            self.openapi_schema = openapi.build(self, {} if student is None else _examples(student.model.bundle))
        return self.openapi_schema


def _examples(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Wire type → form → the bundle's own example in that form."""
    return {"PredictRequest": example_requests(bundle), "InferenceRequest": infer_examples(bundle)}


def create_app(settings: Settings, scorer_factories: Mapping[str, ScorerFactory] | None = None) -> Service:
    """The service; its bundles are read, proved and warmed up when it starts, not here.

    Args:
        settings: everything that may differ between deployments.
        scorer_factories: arm → what runs its model; onnxruntime for an arm that is not named.
    """
    metrics = Metrics()
    shadow = make_shadow(settings, metrics)
    state = State(
        settings=settings,
        metrics=metrics,
        scorer_factories=scorer_factories or {},
        shadow=shadow,
        telling=telling(settings, VERSION),
    )
    experiment_metrics = ExperimentMetrics(state.metrics)
    state.metrics.effective_cpus.set(effective_cpus())
    state.metrics.workers_wanted.set(settings.workers)
    vitals = Vitals(metrics, shadow=lambda: shadow.pid, queued=lambda: state.queued_events)

    hot: dict[str, HotPath] = hot_paths(state)

    async def renew() -> None:
        """Let everything that was worked out from the models be worked out anew."""
        paths = hot_paths(state)
        for gone in hot.keys() - paths.keys():
            del hot[gone]
        hot.update(paths)
        app.openapi_schema = None
        if state.running is not None:
            await asyncio.to_thread(state.running.note_models)

    follower = Follower(state, renew)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        state.load()
        async with (
            state.metrics.publishing(),
            opened(state.remotes.values()),
            state.telling.running(),
            state.shadow.running(),
            experiments(state, experiment_metrics) as running,
        ):
            state.running = running
            await renew()
            async with follower.following(), vitals.running():
                yield
        state.close()

    app = Service(
        state,
        hot,
        title="kd-dagfm-serving",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # the usual pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.include_router(build_router(state, follower))
    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(HTTPException, on_http_exception)
    for path, arm in PREDICT_PATHS.items():
        state.metrics.prepare_request_timers(path, arm)
    for path in INFER_PATHS:
        for arm in ARMS:
            state.metrics.prepare_request_timers(path, arm)
    return app
