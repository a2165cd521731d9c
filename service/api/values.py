"""What a form needs to offer values: the student's example, its vocabularies' values and its catalogue's items.

Searching looks at the first values alone, which of a fitted vocabulary are the most frequent ones: the time it takes
is bounded whatever the vocabulary. A sorted index would find every prefix, for a second and eight bytes a value at
every start of every worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Query, Response

from service.api import openapi
from service.api.hot import JSON
from service.api.problems import Problem, ProblemError, shown
from service.api.schemas import Value, Wire
from service.bundle import FIRST_VALUE_ID, PADDING_ID, UNKNOWN_ID, Bundle, UnknownItem
from service.state import STUDENT, State

MAX_SEARCHED = 20_000
"""Values a search looks at: about a millisecond."""
MAX_VALUES = 100
"""Most values of one answer."""

Prefix = Annotated[str, Query(description="What the values begin with; empty for the first ones.")]
Limit = Annotated[str, Query(description=f"Most values wanted, 1 to {MAX_VALUES}.")]
"""A string: the framework's own error for another type would be no problem+json."""


class ValuesResponse(Wire):
    """Values that begin with a prefix, the prefix itself first if it is one."""

    values: list[str]
    """In the order of the vocabulary or catalogue."""
    known: bool
    """Whether the prefix itself is a value, wherever it stands."""
    searched: int
    """How many values were looked at for others that begin with it."""
    total: int
    """How many there are."""


class ExampleResponse(Wire):
    """A request that the student answers as its bundle says."""

    context: dict[str, Value]
    """Field → value."""
    candidates: dict[str, list[Value]]
    """Columns of the candidate fields."""
    items: list[str | int]
    """The same candidates as items of the catalogue; empty without one."""


def found(values: Sequence[str], prefix: str, limit: int, *, known: bool) -> bytes:
    """The JSON body of a ValuesResponse; `known` says whether `prefix` is one of `values`."""
    searched = values[:MAX_SEARCHED] if len(values) > MAX_SEARCHED else values
    others = (value for value in searched if value.startswith(prefix) and value != prefix)
    first = [prefix] if known else []
    matching = first + list(islice(others, limit - len(first)))
    answer = {"values": matching, "known": known, "searched": len(searched), "total": len(values)}
    return orjson.dumps(answer)


def find_values(bundle: Bundle, field: str, prefix: str, limit: int) -> bytes:
    """Values of a field's vocabulary; none for a numeric field in buckets. Raises ProblemError (404) for no field."""
    names = [known.name for known in bundle.schema.fields]
    if field not in names:
        detail = f"there is no field {shown(field)}; the fields are {', '.join(names)}"
        raise ProblemError(Problem.NOT_FOUND, detail, field=field[:80], expected=", ".join(names))
    vocabulary = bundle.encoder.vocabularies.get(field)
    if vocabulary is None:
        return found((), prefix, limit, known=False)
    id_1 = np.empty(1, np.int32)
    vocabulary.table.encode([prefix], id_1, PADDING_ID, UNKNOWN_ID)
    return found(vocabulary.values, prefix, limit, known=bool(id_1[0] >= FIRST_VALUE_ID))


def find_items(bundle: Bundle, prefix: str, limit: int) -> bytes:
    """Items of the catalogue. Raises ProblemError (422) without one."""
    catalogue = bundle.catalogue
    if catalogue is None:
        raise ProblemError(Problem.NO_CATALOGUE, "the student has no catalogue; send candidates instead of items")
    try:
        catalogue.candidate_ids([prefix])
    except UnknownItem:
        return found(catalogue.items, prefix, limit, known=False)
    return found(catalogue.items, prefix, limit, known=True)


def _limit(text: str) -> int:
    """How many values are wanted; raises ProblemError (422)."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_VALUES:
        return int(text)
    expected = f"an integer from 1 to {MAX_VALUES}"
    got = shown(text)
    raise ProblemError(
        Problem.BAD_VALUE, f"limit is {got}, expected {expected}", field="limit", got=got, expected=expected
    )


def add_value_routes(router: APIRouter, state: State) -> None:
    """GET /models/student/example, .../fields/{field}/values and .../items."""
    answers: dict[int | str, dict[str, Any]] = {200: {"model": ValuesResponse}}
    problems = openapi.problem_responses(422, 503)

    @router.get(
        "/models/student/example",
        summary="A request that the student answers as its bundle says",
        responses={200: {"model": ExampleResponse}, **openapi.problem_responses(503)},
    )
    async def example() -> Response:
        stated = state.arm(STUDENT).model.bundle.example
        shape = {"context": stated["context"], "candidates": stated["candidates"], "items": stated.get("items", [])}
        return Response(orjson.dumps(shape), media_type=JSON)

    # Not async: a search takes up to a millisecond, which requests need not wait for.
    @router.get(
        "/models/student/fields/{field}/values",
        summary="Values that a field of the student knows",
        responses={**answers, **openapi.problem_responses(404), **problems},
    )
    def values(field: str, prefix: Prefix = "", limit: Limit = "20") -> Response:
        return Response(find_values(state.arm(STUDENT).model.bundle, field, prefix, _limit(limit)), media_type=JSON)

    @router.get(
        "/models/student/items",
        summary="Items of the student's catalogue",
        responses={**answers, **problems},
    )
    def items(prefix: Prefix = "", limit: Limit = "20") -> Response:
        return Response(find_items(state.arm(STUDENT).model.bundle, prefix, _limit(limit)), media_type=JSON)
