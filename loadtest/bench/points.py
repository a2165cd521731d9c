"""Which points are measured: server, wire form, candidates, connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.bench import wire
from loadtest.bench.servers import EMPTY, OURS, REFERENCE, TUTORIAL

CANDIDATES = (1, 200, 1000)
CONNECTIONS = (1, 8, 32)
CENTRE = (200, 8)
"""Candidates and connections at which every server and form is compared."""
ALONE = (200, 1)
"""Candidates and connections at which latencies are looked at closely."""
GRID_FORMS = (wire.ITEM_IDS.name, wire.ID_COLUMNS.name, wire.COLUMNS.name, wire.INFER_BINARY.name)
"""Our forms that are measured at every candidates and connections; the others at the centre."""


@dataclass(frozen=True, kw_only=True, order=True)
class Point:
    """One measurement."""

    candidates: int
    connections: int
    server: str
    form: str


def full_plan() -> list[Point]:
    """Every candidates and connections, each with all servers side by side, so that ratios are of neighbours."""
    return [point for candidates in CANDIDATES for connections in CONNECTIONS for point in _at(candidates, connections)]


def centre_plan() -> list[Point]:
    """The centre, and item ids on one connection."""
    return [*_items_alone(), *_at(*CENTRE)]


def _at(candidates: int, connections: int) -> Iterator[Point]:
    for name, form in ((REFERENCE, wire.ID_ROWS), (TUTORIAL, wire.TYPED_ROWS), (EMPTY, wire.EMPTY)):
        yield Point(candidates=candidates, connections=connections, server=name, form=form.name)
    for form in wire.OUR_FORMS:
        if form.name in GRID_FORMS or (candidates, connections) == CENTRE:
            for name in OURS:
                yield Point(candidates=candidates, connections=connections, server=name, form=form.name)


def _items_alone() -> Iterator[Point]:
    for name in OURS:
        yield Point(candidates=ALONE[0], connections=ALONE[1], server=name, form=wire.ITEM_IDS.name)
