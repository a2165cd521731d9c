"""Encoded contexts remembered: a ranking layer that splits its candidates over several requests sends the same one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from service.bundle import Ids

Encode = Callable[[Mapping[str, Any]], Ids]
"""A context → ids [1, Fc]."""


class Tally(Protocol):
    """What counts, e.g. a Prometheus counter."""

    def inc(self) -> None:
        """Count one."""
        ...


class ContextCache:
    """The ids of the contexts used last, by their content.

    A context is known by the JSON of its fields in the order sent: 1, 1.0, true and "1" are four contexts, as they
    are to the encoder. Ids are handed out read-only. To be used from one thread.

    Args:
        size: most contexts remembered.
        hits: counts contexts that were remembered.
        misses: counts contexts that had to be encoded.
    """

    def __init__(self, size: int, hits: Tally, misses: Tally) -> None:
        self._size = size
        self._hits = hits
        self._misses = misses

    def around(self, encode: Encode) -> Encode:
        """`encode`, asked only for contexts that are not remembered; one that it refuses is never remembered."""
        known: OrderedDict[bytes, Ids] = OrderedDict()

        def remembered(context: Mapping[str, Any]) -> Ids:
            key = orjson.dumps(context)
            ids_1F = known.get(key)
            if ids_1F is not None:
                known.move_to_end(key)
                self._hits.inc()
                return ids_1F
            self._misses.inc()
            ids_1F = known[key] = encode(context)
            ids_1F.flags.writeable = False
            if len(known) > self._size:
                known.popitem(last=False)
            return ids_1F

        return remembered
