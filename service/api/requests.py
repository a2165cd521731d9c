"""From the body of a request to ids: read once, checked whole, encoded by the very encoder that training used.

    {"unit": "user-42"?, "request_id": "…"?, "context": {field: value}, and exactly one of
     "candidates": {field: [value, …]}        columns (fastest)
     "candidates": [{field: value}, …]        rows
     "items": [id, …]}                        looked up in the bundle's catalogue

Every error names the field, the position, what was got and what is expected. An unknown *value* is no error: it has
id 1. Pure: no clock, no metric, no framework.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from service.api.problems import Problem, ProblemError, shown
from service.bundle import BadValue, Catalogue, Encoder, Field, Ids, Raw, Role, UnknownItem

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What a request id may be, in the body and in the header X-Request-Id: safe in a log line, a URL and a key."""
MAX_UNIT_LENGTH = 256
"""Most characters of a unit."""

KEYS = ("unit", "request_id", "context", "candidates", "items")
_KEY_SET = frozenset(KEYS)
_SHAPES = "expected {field: [value, ...]} (columns) or [{field: value}, ...] (rows)"


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedRequest:
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
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    if type(decoded) is not dict:
        return None, None
    context, candidates = decoded.get("context"), decoded.get("candidates")
    cells: list[tuple[str, int | None, Any]] = []
    if type(context) is dict:
        cells += [(name, None, value) for name, value in context.items()]
    for name, column in candidates.items() if type(candidates) is dict else ():
        cells += [(name, position, value) for position, value in enumerate(column if type(column) is list else ())]
    for position, row in enumerate(candidates if type(candidates) is list else ()):
        cells += [(name, position, value) for name, value in (row.items() if type(row) is dict else ())]
    found = (cell for cell in cells if type(cell[2]) is float and not math.isfinite(cell[2]))
    return next(((name, position) for name, position, _value in found), (None, None))


class RequestReader:
    """Reads the requests of one model.

    Args:
        encoder: the bundle's encoder.
        catalogue: the bundle's catalogue, None when it has none.
        max_candidates: most candidates of one request.
    """

    def __init__(self, encoder: Encoder, catalogue: Catalogue | None, max_candidates: int) -> None:
        self._encoder = encoder
        self._catalogue = catalogue
        self._max_candidates = max_candidates
        self._fields: Mapping[Role, tuple[Field, ...]] = {
            Role.CONTEXT: encoder.schema.context,
            Role.CANDIDATE: encoder.schema.candidate,
        }
        self._names = {role: tuple(field.name for field in fields) for role, fields in self._fields.items()}
        self._name_sets = {role: frozenset(names) for role, names in self._names.items()}

    def read(self, body: bytes) -> EncodedRequest:
        """`encode(decode(body))`; raises ProblemError."""
        return self.encode(decode(body))

    def encode(self, request: Mapping[str, Any]) -> EncodedRequest:
        """A decoded request as ids; raises ProblemError (422, or 413 for too many candidates)."""
        if not request.keys() <= _KEY_SET:
            raise _unknown_key(request)
        try:
            return EncodedRequest(
                context_ids=self._context_ids(request.get("context")),
                candidate_ids=self._candidate_ids(request),
                unit=_text(request, "unit"),
                request_id=_request_id(request),
            )
        except BadValue as bad:
            raise ProblemError(
                Problem.BAD_VALUE, str(bad), field=bad.field, position=bad.position, got=bad.got, expected=bad.expected
            ) from None

    def _context_ids(self, context: object) -> Ids:
        """Ids [1, Fc]; a model without context fields needs no context."""
        if context is None and not self._names[Role.CONTEXT]:
            context = {}
        if type(context) is not dict:
            problem = Problem.MISSING_FIELD if context is None else Problem.MALFORMED_REQUEST
            expected = self._expected(Role.CONTEXT)
            detail = f"context is {shown(context)}, expected an object with the {expected}"
            raise ProblemError(problem, detail, field="context", got=shown(context), expected=expected)
        if context.keys() != self._name_sets[Role.CONTEXT]:
            raise self._wrong_fields(context, Role.CONTEXT, "context")
        return self._encoder.encode_context(context)

    def _candidate_ids(self, request: Mapping[str, Any]) -> Ids:
        """Ids [N, Ff] from whichever of the three forms the request has."""
        if ("candidates" in request) == ("items" in request):
            got = "both" if "items" in request else "neither"
            detail = f"got {got} of candidates and items, expected exactly one"
            raise ProblemError(Problem.MALFORMED_REQUEST, detail, field="candidates", got=got, expected="exactly one")
        if "items" in request:
            return self._ids_of_items(request["items"])
        match request["candidates"]:
            case dict() as columns:
                self._check_columns(columns)
            case list() as rows:
                columns = self._columns_of_rows(rows)
            case other:
                detail = f"candidates is {shown(other)}, {_SHAPES}"
                raise ProblemError(Problem.MALFORMED_REQUEST, detail, field="candidates", got=shown(other))
        return self._encoder.encode(self._fields[Role.CANDIDATE], columns)

    def _check_columns(self, columns: Mapping[str, Any]) -> None:
        """Raise unless every candidate field has a column, each a list of one common length in 1..max."""
        if columns.keys() != self._name_sets[Role.CANDIDATE]:
            raise self._wrong_fields(columns, Role.CANDIDATE, "candidates")
        for name, column in columns.items():
            if type(column) is not list:
                detail = f"candidates.{name} is {shown(column)}, expected a list with one value per candidate"
                raise ProblemError(
                    Problem.MALFORMED_REQUEST, detail, field=name, got=shown(column), expected="a list of values"
                )
        names = self._names[Role.CANDIDATE]
        rows = len(columns[names[0]])
        for name in names:
            if len(columns[name]) != rows:
                got, expected = f"{len(columns[name])} values", f"{rows}, as {names[0]!r} has"
                detail = f"candidates.{name} has {got}, expected {expected}"
                raise ProblemError(Problem.RAGGED_COLUMNS, detail, field=name, got=got, expected=expected)
        self._check_count(rows, "candidates")

    def _columns_of_rows(self, rows: Sequence[Any]) -> dict[str, list[Raw]]:
        """N rows turned into columns; raises at the first row that is no object with exactly the candidate fields."""
        self._check_count(len(rows), "candidates")
        expected = self._name_sets[Role.CANDIDATE]
        for position, row in enumerate(rows):
            if type(row) is not dict:
                detail = f"candidates[{position}] is {shown(row)}, expected an object {{field: value}}"
                raise ProblemError(
                    Problem.MALFORMED_REQUEST, detail, position=position, got=shown(row), expected="an object"
                )
            if row.keys() != expected:
                raise self._wrong_fields(row, Role.CANDIDATE, f"candidates[{position}]", position)
        return {name: [row[name] for row in rows] for name in self._names[Role.CANDIDATE]}

    def _ids_of_items(self, items: Any) -> Ids:
        """Ids [N, Ff] from the catalogue."""
        if self._catalogue is None:
            expected = f"candidates with the {self._expected(Role.CANDIDATE)}"
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
        expected = f"1 to {self._max_candidates}"
        if count == 0:
            raise ProblemError(
                Problem.NO_CANDIDATES, f"{where} is empty, expected {expected}", field=where, got="0", expected=expected
            )
        if count > self._max_candidates:
            detail = f"{where} has {count}, expected {expected}; split the request"
            raise ProblemError(Problem.TOO_MANY_CANDIDATES, detail, field=where, got=str(count), expected=expected)

    def _wrong_fields(
        self, got: Mapping[str, Any], role: Role, where: str, position: int | None = None
    ) -> ProblemError:
        """The error for an object that has not exactly the fields of `role`: misplaced, unknown or missing."""
        other = Role.CANDIDATE if role is Role.CONTEXT else Role.CONTEXT
        expected = self._expected(role)
        for name in got:
            if name in self._name_sets[other]:
                detail = f"{where} has {name!r}, which is a {other.value} field; expected the {expected}"
                return ProblemError(
                    Problem.MISPLACED_FIELD, detail, field=name, position=position, got=where, expected=expected
                )
        for name in got:
            if name not in self._name_sets[role]:
                detail = f"{where} has an unknown field {shown(name)}; expected the {expected}"
                return ProblemError(
                    Problem.UNKNOWN_FIELD, detail, field=name[:80], position=position, expected=expected
                )
        missing = next(name for name in self._names[role] if name not in got)
        detail = f"{where} lacks {missing!r}; expected the {expected}"
        return ProblemError(Problem.MISSING_FIELD, detail, field=missing, position=position, expected=expected)

    def _expected(self, role: Role) -> str:
        return f"{role.value} fields {', '.join(self._names[role]) or '(none)'}"


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
