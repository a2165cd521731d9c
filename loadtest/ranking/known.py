"""What a service knows, learnt from its own routes: values of every field, and items.

So any URL can be asked, whoever trained its model; reading the bundle would be exact, and would tie the generator to
the service's disk. A route gives a hundred values that begin with a prefix, so longer prefixes are asked for until
there are enough values: the next letters are those that were seen to follow. What no answer shows is not asked for.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from loadtest.bench.client import Answer

Value = str | int | float | None
Get = Callable[[str], Answer]
"""The answer to a GET of a path."""

EXAMPLE = "/models/student/example"
PAGE = 100
"""Most values of one answer."""
MOST_VALUES = 1000
"""Values of a field that are looked for."""
MOST_ITEMS = 5000
_QUANTILES = 9
_OK = 200


class NotKnownError(RuntimeError):
    """The service does not say what can be asked of it; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What requests can be made of."""

    context: Mapping[str, Sequence[Value]]
    """Context field → values."""
    items: Sequence[str | int]
    """Items of the catalogue; empty without one."""
    candidate: Mapping[str, Sequence[Value]]
    """Candidate field → values; empty where there are items."""


def learn(get: Get) -> Known:
    """What the service knows.

    Raises:
        NotKnownError: a route answers with an error, or with something else than it should.
    """
    example = _json(get, EXAMPLE)
    try:
        context = {name: _values(get, name, value) for name, value in example["context"].items()}
        if example["items"]:
            found = _walk(get, "/models/student/items", MOST_ITEMS)
            return Known(context=context, items=found or example["items"], candidate={})
        columns = example["candidates"].items()
        candidate = {name: _values(get, name, next(iter(column), None)) for name, column in columns}
    except (KeyError, TypeError, AttributeError) as error:
        raise NotKnownError(f"GET {EXAMPLE}: {error!r} in the answer, expected context, candidates and items") from None
    return Known(context=context, items=[], candidate=candidate)


def _values(get: Get, field: str, example: Value) -> Sequence[Value]:
    """Values of a field, of the type that its example has; a number without any is spread around its example."""
    found = _walk(get, f"/models/student/fields/{quote(field, safe='')}/values", MOST_VALUES)
    if isinstance(example, str) or (found and example is None):
        return found or [example]
    if example is None:
        return [None]
    number = type(example)
    return [number(float(value)) for value in found] if found else _around(example)


def _around(example: float) -> list[Value]:
    """Values over two decades around a number, of its type."""
    factors = [10 ** (2 * step / (_QUANTILES - 1) - 1) for step in range(_QUANTILES)]
    spread = [example * factor for factor in factors]
    return [round(value) for value in spread] if isinstance(example, int) else list(spread)


def _walk(get: Get, path: str, most: int) -> list[str]:
    """Up to `most` values behind a route, by longer and longer prefixes; the first ones first."""
    found: dict[str, None] = {}
    prefixes, asked = deque([""]), {""}
    while prefixes and len(found) < most:
        prefix = prefixes.popleft()
        answer = _json(get, f"{path}?limit={PAGE}&prefix={quote(prefix, safe='')}")
        values = answer["values"]
        found.update(dict.fromkeys(values))
        if len(found) >= answer["total"]:
            break
        if len(values) == PAGE:
            longer = dict.fromkeys(value[: len(prefix) + 1] for value in values if len(value) > len(prefix))
            prefixes.extend(new for new in longer if new not in asked)
            asked.update(longer)
    return list(found)[:most]


def _json(get: Get, path: str) -> Any:
    try:
        answer = get(path)
    except OSError as error:
        raise NotKnownError(f"GET {path}: {error}; expected a service there, start it or correct --host") from None
    if answer.status != _OK:
        said = answer.body[:200].decode(errors="replace")
        raise NotKnownError(f"GET {path}: got {answer.status}, expected {_OK} of a service that is ready: {said}")
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise NotKnownError(f"GET {path}: {error}, expected JSON; is this the service?") from None


def described(known: Known) -> str:
    """One line for people."""
    fields = {**known.context, **known.candidate}
    count = math.prod(len(values) for values in known.context.values())
    what = f"{len(known.items):,} items" if known.items else "no catalogue, made-up candidates"
    return f"{len(fields)} fields, {count:,} contexts, {what}"
