"""Problems: every error body of the service, as RFC 9457 problem+json built from strings and integers only.

Under /v2 the same errors take the form of the Open Inference Protocol: {"error": detail}, malformed is 400.

Nothing of a request is echoed but a shortened `repr`, so a NaN or a broken character can never leave in an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:problem-type:ctr:"
V2 = "/v2"
"""Paths from here on speak the Open Inference Protocol."""
_LONGEST = 160


class Problem(Enum):
    """Every problem type: slug, HTTP status, title. A slug once published keeps its meaning."""

    MALFORMED_JSON = ("malformed-json", 422, "The body is not JSON")
    MALFORMED_REQUEST = ("malformed-request", 422, "The request has not the expected form")
    UNKNOWN_FIELD = ("unknown-field", 422, "The request names a field that the model does not have")
    MISPLACED_FIELD = ("misplaced-field", 422, "A context field stands among the candidates, or the reverse")
    MISSING_FIELD = ("missing-field", 422, "The request lacks a field that the model needs")
    BAD_VALUE = ("bad-value", 422, "A value has a type or range that its field does not take")
    RAGGED_COLUMNS = ("ragged-columns", 422, "The candidate columns differ in length")
    NO_CANDIDATES = ("no-candidates", 422, "The request has no candidate")
    UNKNOWN_ITEM = ("unknown-item", 422, "An item is not in the model's catalogue")
    NO_CATALOGUE = ("no-catalogue", 422, "The model has no catalogue")
    TOO_MANY_CANDIDATES = ("too-many-candidates", 413, "The request has more candidates than one request may")
    BODY_TOO_LARGE = ("body-too-large", 413, "The body has more bytes than one request may")
    BAD_EVENT = ("bad-event", 422, "An event has not the expected form")
    TOO_MANY_EVENTS = ("too-many-events", 413, "The request has more events than one request may")
    TOKEN_REFUSED = ("token-refused", 403, "No event has a token that belongs to its request")
    STORE_FULL = ("store-full", 507, "The event store has no room")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "The body is not declared as JSON")
    BAD_DOCUMENT = ("bad-document", 422, "The experiments are not described as they must be")
    UNKNOWN_ARM = ("unknown-arm", 422, "There is no such arm")
    REVISION_CONFLICT = ("revision-conflict", 412, "Another revision of the experiments is in force")
    UNAUTHORIZED = ("unauthorized", 401, "The admin token is missing or wrong")
    ADMIN_OFF = ("admin-off", 403, "The service has no admin token")
    ADMIN_PORT = ("admin-port", 403, "The admin token counts on another port")
    NO_EXPERIMENTS = ("no-experiments", 503, "The service keeps no events")
    NO_REPORT = ("no-report", 503, "The report cannot be made now")
    STORE_AWAY = ("store-away", 503, "The event store does not answer")
    REMOTE_FAILED = ("remote-failed", 502, "The service that answers for the arm gave no usable answer")
    NOT_FOUND = ("not-found", 404, "There is no such path")
    UNKNOWN_EXPERIMENT = ("unknown-experiment", 404, "There is no such experiment or phase")
    UNKNOWN_MODEL = ("unknown-model", 404, "There is no such model or version")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The path does not take this method")
    HTTP = ("http", 400, "The HTTP request cannot be answered")
    BUNDLE_REFUSED = ("bundle-refused", 409, "The version cannot be served, the one before goes on")
    NO_EXPLANATION = ("no-explanation", 409, "The model's logits do not split into terms")
    NOT_READY = ("not-ready", 503, "The service is not ready")
    NO_TEACHER = ("no-teacher", 503, "No teacher is loaded")
    TEACHER_BUSY = ("teacher-busy", 503, "The teacher has as many requests waiting as it may")
    TEACHER_TIMEOUT = ("teacher-timeout", 504, "The teacher did not answer before its deadline")
    NOT_FINITE = ("not-finite", 500, "The model gave a logit that is not finite")
    INTERNAL = ("internal", 500, "The service failed")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title


class ProblemError(Exception):
    """An error on its way to the client.

    Attributes:
        problem: its type.
        detail: one sentence: where, got, expected, what to do.
        extensions: the members `field`, `position`, `got`, `expected` where they apply.
        headers: HTTP headers the answer carries besides the content type.
    """

    def __init__(
        self,
        problem: Problem,
        detail: str,
        *,
        field: str | None = None,
        position: int | None = None,
        got: str | None = None,
        expected: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
        members = {"field": field, "position": position, "got": got, "expected": expected}
        self.extensions = {key: value for key, value in members.items() if value is not None}
        self.headers = dict(headers or {})


def shown(value: object) -> str:
    """A value as an error may show it: a shortened `repr`; of a list or an object only that it is one."""
    text = f"a JSON {_KINDS[type(value)]}" if type(value) in _KINDS else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_KINDS: Mapping[type, str] = {list: "array", dict: "object", type(None): "null"}


def to_response(error: ProblemError, path: str, *, status: int | None = None) -> Response:
    """The HTTP answer for an error on `path`; `status` replaces the one of its type."""
    status = error.problem.status if status is None else status
    if path == V2 or path.startswith(f"{V2}/"):
        status = HTTPStatus.BAD_REQUEST.value if status == HTTPStatus.UNPROCESSABLE_ENTITY else status
        return Response(orjson.dumps({"error": _encodable(error.detail)}), status, error.headers, "application/json")
    body = {
        "type": TYPE_PREFIX + error.problem.slug,
        "title": error.problem.title,
        "status": status,
        "detail": error.detail,
        **error.extensions,
    }
    encodable = {key: _encodable(value) if isinstance(value, str) else value for key, value in body.items()}
    return Response(orjson.dumps(encodable), status, error.headers, MEDIA_TYPE)


def _encodable(text: str) -> str:
    """The text with unpaired surrogates replaced: UTF-8 has no form for them."""
    return text.encode("utf-8", "replace").decode()


async def on_problem(request: Request, error: Exception) -> Response:
    """Exception handler for ProblemError."""
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class alone
    return to_response(error, request.scope["path"])


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Exception handler for the framework's own errors: no such path, wrong method, and whatever comes later."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    headers = dict(error.headers or {})
    path = request.scope["path"]
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            detail = "no such path; /openapi.json lists every path of this service"
            return to_response(ProblemError(Problem.NOT_FOUND, detail, headers=headers), path)
        case HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = headers.get("Allow", "another method")
            detail = f"got {request.method}, expected {allowed}"
            problem = ProblemError(
                Problem.METHOD_NOT_ALLOWED, detail, got=request.method, expected=allowed, headers=headers
            )
            return to_response(problem, path)
        case status:
            return to_response(ProblemError(Problem.HTTP, str(error.detail), headers=headers), path, status=status)
