"""What is asked about: contexts and candidates that a bundle knows, so that nothing is out of its vocabularies.

A user's context is drawn field by field and stays the user's own; real users' fields depend on each other, which a
bundle does not tell. Items are those of the catalogue; a bundle without one gets a pool of made-up items, each a row of
known candidate values, sent as columns. Every request draws its candidates evenly from all items.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.traffic.draws import Stream, choices
from loadtest.traffic.users import Visit
from service.bundle import Buckets, Bundle, Encoder, Field

POOL = 1000
"""Made-up items where there is no catalogue."""

Items = npt.NDArray[np.int64]
"""Items by their position in the catalogue or pool."""
Value = str | int | float | None


class Offers:
    """Requests for one bundle.

    Args:
        bundle: the model that the service answers with; arms of one experiment take the same requests.
        candidates: of a request; fewer where there are not so many items.
        seed: the same seed gives the same contexts and candidates.
    """

    def __init__(self, bundle: Bundle, *, candidates: int, seed: int) -> None:
        self._seed = seed
        self._names = None if bundle.catalogue is None else bundle.catalogue.items
        self.items = POOL if self._names is None else len(self._names)
        """How many items there are."""
        self.candidates = min(candidates, self.items)
        """How many of them a request asks about."""
        self._context = [(field.name, _known_values(field, bundle.encoder)) for field in bundle.schema.context]
        self._columns = {} if self._names is not None else self._made_up(bundle)

    def drawn(self, visit: Visit) -> Items:
        """The candidates [N] of a visit, each once."""
        random = np.random.default_rng((int(Stream.CANDIDATE), self._seed, visit.number))
        return random.choice(self.items, self.candidates, replace=False)

    def context(self, user: int) -> dict[str, Value]:
        """The context fields of a user."""
        return {
            name: values[choices(Stream.CONTEXT, self._seed, user, position, among=len(values))[0]]
            for position, (name, values) in enumerate(self._context)
        }

    def body(self, visit: Visit, unit: str, request_id: str, items_N: Items) -> dict[str, Any]:
        """The request of a visit, as it goes over the wire."""
        request: dict[str, Any] = {"unit": unit, "request_id": request_id}
        if self._context:
            request["context"] = self.context(visit.user)
        if self._names is not None:
            return {**request, "items": [self._names[item] for item in items_N.tolist()]}
        columns = {name: [column[item] for item in items_N.tolist()] for name, column in self._columns.items()}
        return {**request, "candidates": columns}

    def candidate(self, items_N: Items, position: int) -> dict[str, str | int]:
        """How feedback names the candidate at `position` of a request: by its item, or where it stood."""
        if self._names is None:
            return {"position": position}
        return {"item": self._names[items_N[position]]}

    def _made_up(self, bundle: Bundle) -> dict[str, list[Value]]:
        columns = {}
        for position, field in enumerate(bundle.schema.candidate):
            values = _known_values(field, bundle.encoder)
            drawn = choices(Stream.CANDIDATE, self._seed, np.arange(POOL), position, among=len(values))
            columns[field.name] = [values[value] for value in drawn.tolist()]
        return columns


def _known_values(field: Field, encoder: Encoder) -> Sequence[Value]:
    """Raw values of a field that its encoder knows: one of every bucket, or its vocabulary as it stands there."""
    if isinstance(field.numeric, Buckets):
        edges = field.numeric.edges
        between = [(low + high) / 2 for low, high in pairwise(edges)]
        return [edges[0] - 1, *between, edges[-1] + 1]
    values: Sequence[str] = encoder.vocabularies[field.name].values
    if not values:
        return [None]
    return values if field.numeric is None else [int(value) for value in values]
