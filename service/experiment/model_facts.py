"""What the event store knows of models besides their answers: what a candidate costs them.

Without it a report made from the store alone could not say what an arm saves. Written when a model is loaded, once per
`name@version`, as rows of the store's table `meta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import orjson

from service.events.sql import SqlStore
from service.events.store import EventStore

_PREFIX = "model/"
_PUT = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """What does not change while a model is served."""

    flops_effective: float
    """Multiplications per candidate that the equations need."""
    flops_executed: float
    """Multiplications per candidate that the scorer runs."""


def note_models(store: SqlStore, facts: Mapping[str, ModelFacts]) -> None:
    """Keep the facts of models by `name@version`; raises StoreError."""
    with store.writing() as session:
        for model, known in sorted(facts.items()):
            session.run(_PUT, (f"{_PREFIX}{model}", orjson.dumps(asdict(known))))


def read_models(store: EventStore) -> dict[str, ModelFacts]:
    """`name@version` → facts, of every model that was ever noted; raises StoreError."""
    sql = "SELECT name, value FROM meta WHERE name LIKE 'model/%' ORDER BY name"
    with store.reading() as session:
        rows = session.rows(sql)
    return {name.removeprefix(_PREFIX): ModelFacts(**orjson.loads(bytes(value))) for name, value in rows}
