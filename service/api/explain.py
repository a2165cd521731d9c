"""POST /student/explain: why the student gives its probabilities, as terms by field and order.

Not a hot path: it is for a person who looks at some candidates, computed by numpy on a thread beside the event loop.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from service.api import openapi
from service.api.hot import JSON
from service.api.media import check_json
from service.api.problems import Problem, ProblemError
from service.api.requests import EncodedRequest, RequestReader
from service.api.schemas import Wire
from service.middleware import call_of
from service.models import LoadedModel
from service.scoring.explain import Explainer, explainer_of
from service.state import STUDENT, State

MAX_EXPLAINED = 50
"""Most candidates of one explanation: more than a person compares, few milliseconds to compute."""


class ExplainResponse(Wire):
    """How the student's logits come about: bias plus one term for every field at every order."""

    request_id: str
    """The request's id, also in the header X-Request-Id."""
    model: str
    """The model explained, `name@version`."""
    fields: list[str]
    """Field of the terms' last axis: the last field of the interactions it stands for, in the schema's order."""
    orders: list[int]
    """Order of the terms' middle axis: how many fields the interactions combine."""
    bias: float
    """Logit without any term."""
    calibration: dict[str, float]
    """probability = sigmoid(slope * logit + intercept)."""
    logits: list[float]
    """Logits of the scorer that answers; bias + the sum of a candidate's terms, within 1e-5."""
    probabilities: list[float] = Field(json_schema_extra={"items": {"type": "number", "minimum": 0, "maximum": 1}})
    """One probability per candidate, as the predict paths answer it."""
    terms: list[list[list[float]]]
    """Terms by candidate, order and field."""


class Explanations:
    """Explains the student that is loaded now; what that needs is prepared at the first question about a model.

    Args:
        state: of the app.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._model: LoadedModel | None = None
        self._explainer: Explainer | None = None

    async def answer(self, request: Request) -> bytes:
        """The JSON body of an explanation.

        Raises:
            ProblemError: 409 for a model without terms, else as predict.
        """
        check_json(request.scope)
        model = self._state.arm(STUDENT).model
        explainer = self._explainer_of(model)
        encoded = self._reader_of(model).read(await request.body())
        call = call_of(request.scope)
        call.request_id = encoded.request_id or call.request_id
        return await run_in_threadpool(_explained, model, explainer, encoded, call.request_id)

    def _reader_of(self, model: LoadedModel) -> RequestReader:
        bundle = model.bundle
        most = min(MAX_EXPLAINED, self._state.settings.max_candidates)
        return RequestReader(bundle.encoder, bundle.catalogue, most)

    def _explainer_of(self, model: LoadedModel) -> Explainer:
        if model is not self._model:
            bundle = model.bundle
            self._explainer = explainer_of(bundle.weights, bundle.embedding, bundle.encoder.sizes)
            self._model = model
        if self._explainer is None:
            architecture = model.bundle.manifest.architecture
            detail = f"{model.name} is a {architecture} without weights.npz, expected a DAGFM exported with weights"
            raise ProblemError(Problem.NO_EXPLANATION, detail, got=architecture, expected="a DAGFM with weights.npz")
        return self._explainer


def _explained(model: LoadedModel, explainer: Explainer, encoded: EncodedRequest, request_id: str) -> bytes:
    bundle, ids = model.bundle, (encoded.context_ids, encoded.candidate_ids)
    logits_N = model.scorer.score(*ids)
    calibration = bundle.manifest.calibration
    return orjson.dumps(
        {
            "request_id": request_id,
            "model": model.name,
            "fields": [field.name for field in bundle.schema.fields],
            "orders": explainer.orders,
            "bias": explainer.bias,
            "calibration": {"slope": calibration.slope, "intercept": calibration.intercept},
            "logits": logits_N,
            "probabilities": model.probabilities(logits_N),
            "terms": explainer.terms(*ids),
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def add_explain_routes(router: APIRouter, state: State) -> None:
    """POST /student/explain."""
    explanations = Explanations(state)
    responses: dict[int | str, dict[str, Any]] = {
        200: {"model": ExplainResponse, "description": "Terms by candidate, order and field."},
        **openapi.problem_responses(409, 413, 415, 422, 500, 503),
    }

    @router.post(
        "/student/explain",
        operation_id="student_explain",
        summary=f"Why the student answers as it does: logits as sums of terms, of up to {MAX_EXPLAINED} candidates",
        openapi_extra=openapi.request_body(),
        responses=responses,
    )
    async def explain(request: Request) -> Response:
        return Response(await explanations.answer(request), media_type=JSON)
