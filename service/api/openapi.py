"""The OpenAPI document: the hot routes take and return raw bytes, so their types are attached here.

The request examples are the student's own, as raw values and as ids: the document is built again once its bundle is
loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from service.api.problems import MEDIA_TYPE, TYPE_PREFIX, Problem
from service.api.schemas import FeedbackRequest, KillRequest, PredictRequest, ProblemDetails, RollbackRequest
from service.api.v2.schemas import InferenceRequest
from service.experiment.document import Document

_SCHEMAS = "#/components/schemas/"
_MEANINGS = {
    401: "The admin token is missing or wrong.",
    403: "The service has no admin token, or not one event has a token that belongs to its request.",
    404: "No such path.",
    405: "The path does not take this method.",
    409: "What is loaded cannot do this, or a version was refused.",
    412: "Another revision is in force.",
    413: "Too many candidates, events or bytes.",
    415: "The body is not declared as JSON.",
    422: "The body, a field or a value is not what is expected; nothing was scored.",
    500: "The model gave a logit that is not finite, or the service failed.",
    502: "The service that answers for the arm gave no usable answer.",
    503: "Not ready, no teacher, a teacher with too many requests waiting, or no event store.",
    504: "The teacher did not answer before its deadline.",
    507: "The event store has no room; nothing was stored.",
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses of these statuses, each with an example of every problem it may be."""
    return {status: _problem_response(status) for status in statuses}


def request_body() -> dict[str, Any]:
    """The `openapi_extra` of a route that reads a PredictRequest from the raw body."""
    schema = {"$ref": f"{_SCHEMAS}PredictRequest"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def build(app: FastAPI, examples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The document of `app`; `examples`, wire type → form → body, stand at every route that takes the wire type."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (
        PredictRequest,
        FeedbackRequest,
        ProblemDetails,
        InferenceRequest,
        Document,
        KillRequest,
        RollbackRequest,
    ):
        schemas.update(_schemas_of(model))
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            forms = {} if content is None else examples.get(content["schema"]["$ref"].removeprefix(_SCHEMAS), {})
            if forms:
                content["examples"] = {
                    form: {"summary": f"Candidates as {form}", "value": body} for form, body in forms.items()
                }
    return document


def _schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _problem_response(status: int) -> dict[str, Any]:
    examples = {
        problem.slug: {
            "summary": problem.title,
            "value": {
                "type": TYPE_PREFIX + problem.slug,
                "title": problem.title,
                "status": status,
                "detail": "Where, what was got, what is expected, what to do.",
            },
        }
        for problem in Problem
        if problem.status == status
    }
    schema = {"$ref": f"{_SCHEMAS}ProblemDetails"}
    return {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}
