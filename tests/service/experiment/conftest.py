from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.events import open_store
from service.events.sql import SqlStore
from service.experiment.document import Document
from service.experiment.report.build import build_report
from service.experiment.report.schema import Report
from tests.service.events.builders import ATTRIBUTION_MS
from tests.service.experiment.report.stores import World, fill

Reported = Callable[[Document, World], Report]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """An empty event store."""
    opened = open_store(f"sqlite:{tmp_path}/events.sqlite3", ATTRIBUTION_MS)
    yield opened
    opened.close()


@pytest.fixture
def reported(store: SqlStore) -> Reported:
    """Lets a world happen under a document and reports on it."""

    def report(doc: Document, world: World) -> Report:
        fill(store, doc, world)
        return build_report(store)

    return report
