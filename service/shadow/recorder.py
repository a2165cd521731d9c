"""Where the comparisons of a shadow go: the event store, written by a thread of the shadow's own process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from service.events.records import ShadowComparison
from service.events.store import StoreError
from service.events.urls import open_store
from service.events.writer import EventLog

logger = logging.getLogger(__name__)


@contextmanager
def recording(url: str, attribution_ms: int) -> Iterator[Callable[[ShadowComparison], object]]:
    """What stores a comparison, while inside; it forgets them where the store is nowhere or cannot be opened.

    Args:
        url: as CTR_EVENTS; empty for nowhere.
        attribution_ms: as `open_store` takes it.
    """
    try:
        store = open_store(url, attribution_ms) if url else None
    except StoreError as error:
        logger.error("shadow comparisons are counted but not stored: %s", error)  # noqa: TRY400 - no trace
        store = None
    if store is None:
        yield lambda _comparison: None
        return
    with closing(store):
        log = EventLog(store)
        log.start()
        with closing(log):
            yield log.shadowed
