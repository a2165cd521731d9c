"""Deletes events of a certain age, once an hour and in one process of all that share the store.

It is a thread of its own: what is old is found by a reader, and deleted a few hundred rows at a time with pauses, so
that the writer of feedback waits for one such piece at most.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from service.events.sql import SqlStore
from service.events.store import StoreError

HOUR_S = 3600.0
DAY_MS = 86_400_000
_PAUSE_S = 0.02

logger = logging.getLogger(__name__)


class Retention:
    """Deletes what is older than some days.

    Args:
        store: where.
        days: the age.
        clock_s: seconds since 1970.
    """

    def __init__(self, store: SqlStore, days: float, clock_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._days = days
        self._clock_s = clock_s
        self._stopped = Event()

    def prune(self) -> int | None:
        """Delete what is old by now; how many rows went, None where it is another process's turn or it failed."""
        now_s = self._clock_s()
        try:
            if not self._store.claim("retention", int(now_s // HOUR_S)):
                return None
            pruned = self._store.prune(round(now_s * 1000 - self._days * DAY_MS), self._pause)
        except StoreError as error:
            logger.error("old events are kept for now: %s", error)  # noqa: TRY400 - the message is the reason
            return None
        logger.info("%d rows older than %g days were deleted", pruned, self._days)
        return pruned

    @contextmanager
    def running(self) -> Iterator[None]:
        """While inside, prune once an hour."""
        thread = Thread(target=self._prune_on, name="event-retention", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _prune_on(self) -> None:
        """The first time soon after the start, so that a service that is restarted every hour prunes too."""
        wait_s = random.uniform(1, 10)  # noqa: S311 - so that workers do not all ask at once
        while not self._stopped.wait(wait_s):
            self.prune()
            wait_s = HOUR_S

    def _pause(self, _rows: int) -> None:
        if self._stopped.wait(_PAUSE_S):
            raise StoreError("the service is stopping; the rest is deleted after the next start")
