"""From the body of a request to ids: read once, checked whole, encoded by the very encoder that training used.

    {"unit": "user-42"?, "request_id": "…"?, "context": {field: value} or "context_ids": {field: id}, and exactly one of
     "candidates": {field: [value, …]}        columns
     "candidates": [{field: value}, …]        rows
     "candidate_ids": {field: [id, …]}        columns of ids of the bundle's vocabularies, for callers that have them
     "items": [id, …]}                        looked up in the bundle's catalogue

Every error names the field, the position, what was got and what is expected. An unknown *value* is no error: it has
id 1. Pure: no clock, no metric, no framework.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from service.api.contexts import ContextCache
from service.api.fields import RoleFields
from service.api.problems import Problem, ProblemError, shown
from service.bundle import BadValue, Catalogue, Encoder, Ids, Role, UnknownItem

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What a request id may be, in the body and in the header X-Request-Id: safe in a log line, a URL and a key."""
MAX_UNIT_LENGTH = 256
"""Most characters of a unit."""

CANDIDATE_KEYS = ("candidates", "candidate_ids", "items")
"""The forms that candidates come in; a request has exactly one."""
KEYS = ("unit", "request_id", "context", "context_ids", *CANDIDATE_KEYS)
_KEY_SET = frozenset(KEYS)
_SHAPES = "{field: [value, ...]} (columns) or [{field: value}, ...] (rows)"


class EncodedRequest(NamedTuple):
    """One request, ready to score: N candidates of one context."""

    context_ids: Ids
    """[1, Fc] int32."""
    candidate_ids: Ids
    """[N, Ff] int32, N >= 1."""
    unit: str | None
    """The id an experiment hashes; None when the request has none."""
    request_id: str | None
    """The caller's own id of the request."""


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; raises ProblemError for anything else, naming line and column."""
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        detail = f"{where}: {error.msg}; expected one JSON object in UTF-8, numbers finite"
        field, position = _non_finite_at(body)
        raise ProblemError(
            Problem.MALFORMED_JSON, detail, field=field, position=position, expected="a JSON object"
        ) from None
    if type(decoded) is not dict:
        got = shown(decoded)
        raise ProblemError(
            Problem.MALFORMED_REQUEST, f"the body is {got}, expected an object", got=got, expected="an object"
        )
    return decoded


def _non_finite_at(body: bytes) -> tuple[str | None, int | None]:
    """Field and position of the first NaN, infinity or number beyond float64 in a body that is JSON but for those.

    JSON has no such numbers, so the decoder stops at them knowing line and column alone; a caller wants the field.
    """
    try:
        path = _path_to_non_finite(json.loads(body))
    except (ValueError, RecursionError):
        return None, None
    fields = [step for step in path or () if type(step) is str]
    positions = [step for step in path or () if type(step) is int]
    return fields[-1] if fields else None, positions[-1] if positions else None


def _path_to_non_finite(value: object) -> tuple[str | int, ...] | None:
    """Keys and positions that lead to the first number in `value` that is not finite; None if all are."""
    if type(value) is float:
        return None if math.isfinite(value) else ()
    steps: Iterable[tuple[str | int, object]] = ()
    if type(value) is dict:
        steps = value.items()
    elif type(value) is list:
        steps = enumerate(value)
    for step, inner in steps:
        path = _path_to_non_finite(inner)
        if path is not None:
            return (step, *path)
    return None


class RequestReader:
    """Reads the requests of one model.

    Args:
        encoder: the bundle's encoder.
        catalogue: the bundle's catalogue, None when it has none.
        max_candidates: most candidates of one request.
        contexts: what remembers encoded contexts, None to encode each.
    """

    def __init__(
        self, encoder: Encoder, catalogue: Catalogue | None, max_candidates: int, contexts: ContextCache | None = None
    ) -> None:
        self._encoder = encoder
        self._catalogue = catalogue
        self._max_candidates = max_candidates
        self._context = RoleFields(encoder, Role.CONTEXT)
        self._candidate = RoleFields(encoder, Role.CANDIDATE)
        self._encode_context = encoder.encode_context if contexts is None else contexts.around(encoder.encode_context)

    def read(self, body: bytes) -> EncodedRequest:
        """`encode(decode(body))`; raises ProblemError."""
        return self.encode(decode(body))

    def encode(self, request: Mapping[str, Any]) -> EncodedRequest:
        """A decoded request as ids; raises ProblemError (422, or 413 for too many candidates)."""
        if not request.keys() <= _KEY_SET:
            raise _unknown_key(request)
        try:
            return EncodedRequest(
                context_ids=self._context_ids(request),
                candidate_ids=self._candidate_ids(request),
                unit=_text(request, "unit"),
                request_id=_request_id(request),
            )
        except BadValue as bad:
            raise ProblemError(
                Problem.BAD_VALUE, str(bad), field=bad.field, position=bad.position, got=bad.got, expected=bad.expected
            ) from None

    def _context_ids(self, request: Mapping[str, Any]) -> Ids:
        """Ids [1, Fc] from whichever of the two forms the request has; a model without context fields needs none."""
        raw = "context_ids" in request
        if raw and "context" in request:
            raise _not_one(["context", "context_ids"], "context", "at most one of context and context_ids")
        where = "context_ids" if raw else "context"
        context = request.get(where)
        if context is None and not self._context.names:
            context = {}
        if type(context) is not dict:
            problem = Problem.MISSING_FIELD if context is None else Problem.MALFORMED_REQUEST
            expected = self._context.described
            detail = f"{where} is {shown(context)}, expected an object with the {expected}"
            raise ProblemError(problem, detail, field=where, got=shown(context), expected=expected)
        self._context.check(context, where)
        return self._context.ids_of_row(context, where) if raw else self._encode_context(context)

    def _candidate_ids(self, request: Mapping[str, Any]) -> Ids:
        """Ids [N, Ff] from whichever of the four forms the request has."""
        sent = [key for key in CANDIDATE_KEYS if key in request]
        if len(sent) != 1:
            raise _not_one(sent, "candidates", f"exactly one of {', '.join(CANDIDATE_KEYS)}")
        match sent[0], request[sent[0]]:
            case "items", items:
                return self._ids_of_items(items)
            case where, dict() as columns:
                rows = self._candidate.check_columns(columns, where)
                self._check_count(rows, where)
                if where == "candidate_ids":
                    return self._candidate.ids_of_columns(columns, rows, where)
            case "candidates", list() as values:
                self._check_count(len(values), "candidates")
                columns = self._candidate.columns_of(values, "candidates")
            case where, other:
                expected = _SHAPES if where == "candidates" else "{field: [id, ...]}"
                detail = f"{where} is {shown(other)}, expected {expected}"
                raise ProblemError(Problem.MALFORMED_REQUEST, detail, field=where, got=shown(other), expected=expected)
        return self._encoder.encode(self._candidate.fields, columns)

    def _ids_of_items(self, items: Any) -> Ids:
        """Ids [N, Ff] from the catalogue."""
        if self._catalogue is None:
            expected = f"candidates with the {self._candidate.described}"
            detail = f"items were sent, but the model has no catalogue; send {expected}"
            raise ProblemError(Problem.NO_CATALOGUE, detail, field="items", expected=expected)
        if type(items) is not list:
            detail = f"items is {shown(items)}, expected a list of item ids"
            raise ProblemError(
                Problem.MALFORMED_REQUEST, detail, field="items", got=shown(items), expected="a list of item ids"
            )
        self._check_count(len(items), "items")
        try:
            return self._catalogue.candidate_ids(items)
        except UnknownItem as unknown:
            got, expected = shown(unknown.item), f"one of the {len(self._catalogue)} items of the catalogue"
            detail = f"items[{unknown.position}] is {got}, expected {expected}; send new items as candidates"
            raise ProblemError(
                Problem.UNKNOWN_ITEM, detail, field="items", position=unknown.position, got=got, expected=expected
            ) from None

    def _check_count(self, count: int, where: str) -> None:
        """Raise unless 1 <= N <= max_candidates."""
        if 1 <= count <= self._max_candidates:
            return
        expected = f"1 to {self._max_candidates}"
        if count == 0:
            raise ProblemError(
                Problem.NO_CANDIDATES, f"{where} is empty, expected {expected}", field=where, got="0", expected=expected
            )
        detail = f"{where} has {count}, expected {expected}; split the request"
        raise ProblemError(Problem.TOO_MANY_CANDIDATES, detail, field=where, got=str(count), expected=expected)


def _not_one(sent: Sequence[str], field: str, expected: str) -> ProblemError:
    got = " and ".join(sent) or "none"
    return ProblemError(
        Problem.MALFORMED_REQUEST, f"got {got}, expected {expected}", field=field, got=got, expected=expected
    )


def _unknown_key(request: Mapping[str, Any]) -> ProblemError:
    key = next(key for key in request if key not in _KEY_SET)
    expected = ", ".join(KEYS)
    detail = f"the request has an unknown key {shown(key)}, expected some of {expected}"
    return ProblemError(Problem.UNKNOWN_FIELD, detail, field=key[:80], expected=expected)


def _text(request: Mapping[str, Any], key: str) -> str | None:
    """The string under `key`, None when absent or null; raises ProblemError for any other type or length."""
    value = request.get(key)
    if value is None or (type(value) is str and 0 < len(value) <= MAX_UNIT_LENGTH):
        return value
    expected = f"a string of 1 to {MAX_UNIT_LENGTH} characters"
    detail = f"{key} is {shown(value)}, expected {expected}"
    raise ProblemError(Problem.BAD_VALUE, detail, field=key, got=shown(value), expected=expected)


def _request_id(request: Mapping[str, Any]) -> str | None:
    value = _text(request, "request_id")
    if value is None or REQUEST_ID.fullmatch(value):
        return value
    expected = f"a match of {REQUEST_ID.pattern}"
    detail = f"request_id is {shown(value)}, expected {expected}"
    raise ProblemError(Problem.BAD_VALUE, detail, field="request_id", got=shown(value), expected=expected)
