"""One thread per process that writes events: many records, one transaction, one sync of the disk.

What comes in while a transaction is on its way is the next transaction, so that batches grow with the load by
themselves. Before it begins, callers wait two milliseconds at most for as many as there were last time: clients that
were answered together come back together. A lone caller waits for nobody, and records that no one waits for, exposures
and answers, gather a little longer. Measured with 64 callers of one event each on a busy machine, events/s and median
ms: 6,900 and 8.1 without company, 11,200 and 3.8 with it; a fixed wait of 5 ms gave 4,900 and 11.8.

Feedback is acknowledged when its transaction is durable and never before: whoever is killed between the two has stored
an event that was not acknowledged, and its repeat is a duplicate.

While the store is full or away, feedback is refused at once, the rest waits as long as there is room, and what finds
none is counted and reported to the store as a loss once it can be written again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from threading import Thread

from service.events.queued import ANSWER, EXPOSURE, SHADOW, Call, Dropped, Queued, Taken, weight_of
from service.events.records import Answered, Exposure, FeedbackEvent, FeedbackStatus, ShadowComparison
from service.events.store import EventStore, StoreAwayError, StoreError, StoreFullError

GATHER_S = 0.005
"""Seconds that records which nobody waits for gather."""
COMPANY_S = 0.002
"""Seconds at most that callers wait for others, as PostgreSQL's commit_delay under its commit_siblings."""
RETRY_S = 0.5
"""Seconds between attempts while the store is full or away and nobody asks."""
MOST_RECORDS = 2_048
"""Records of a kind in one transaction, so that whoever waits for it does not wait for very long."""
_IDLE_S = 60.0

logger = logging.getLogger(__name__)

_Outcome = tuple[asyncio.Future[list[FeedbackStatus]], list[FeedbackStatus] | StoreError]


class EventLog:
    """Writes the events of one process to its store, in the background.

    Args:
        store: where they go; nobody else may write to it, and it is not closed here.
        max_queued: most records that wait; of a big answer each KiB counts as one.
        gather_s: seconds that records which nobody waits for gather.
        company_s: seconds at most that several callers wait for one another.
        retry_s: seconds between attempts while the store is full or away.
        dropped: told the kind, `exposure`, `answer` or `shadow`, and the number of records that are lost.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        max_queued: int = 100_000,
        gather_s: float = GATHER_S,
        company_s: float = COMPANY_S,
        retry_s: float = RETRY_S,
        dropped: Dropped = lambda _kind, _dropped: None,
    ) -> None:
        self._store = store
        self._gather_s = gather_s
        self._company_s = company_s
        self._retry_s = retry_s
        self._queue = Queued(max_queued, dropped)
        self._thread = Thread(target=self._write_on, name="event-writer", daemon=True)
        self._failing = False

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits and stop; what cannot be written now is lost, and logged. Takes as long as that takes."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def queued(self) -> int:
        """Records that wait to be written; of a big answer each KiB counts as one."""
        return self._queue.weight

    def expose(self, exposure: Exposure) -> bool:
        """Have an exposure written; False if it was dropped. Any thread, about a microsecond."""
        return self._queue.add(EXPOSURE, exposure)

    def answered(self, answered: Answered) -> bool:
        """Have an answer written; False if it was dropped. Any thread."""
        return self._queue.add(ANSWER, answered, weight_of(answered))

    def shadowed(self, comparison: ShadowComparison) -> bool:
        """Have a shadow comparison written; False if it was dropped. Any thread."""
        return self._queue.add(SHADOW, comparison)

    async def feedback(self, events: Sequence[FeedbackEvent]) -> list[FeedbackStatus]:
        """Store feedback in one transaction; what became of each event, once that is durable.

        Raises:
            StoreFullError: the disk is full; nothing of it was stored.
            StoreAwayError: the store cannot be reached, or too much waits for it; the same may be sent again.
            StoreError: anything else; nothing of it was stored.
        """
        if not events:
            return []
        loop = asyncio.get_running_loop()
        call = Call(events, loop, loop.create_future())
        self._queue.add_call(call)
        return await call.future

    def _write_on(self) -> None:
        """Write until closed, and then what came last."""
        while not self._queue.closed:
            self._queue.wait(_IDLE_S, self._gather_s, self._company_s)
            taken = self._queue.take(MOST_RECORDS)
            if taken and not self._write(taken):
                self._queue.put_back(taken)
                self._queue.pause(self._retry_s)
        while taken := self._queue.take(MOST_RECORDS):
            if not self._write(taken):
                logger.error("%d records were not stored before the service stopped", taken.weight)

    def _write(self, taken: Taken) -> bool:
        """Write and tell those who wait; False if the records may be written later."""
        batch = taken.batch()
        try:
            statuses = self._store.write(batch)
        except (StoreFullError, StoreAwayError) as error:
            self._fail(error)
            _settle([(call.future, type(error)(*error.args)) for call in taken.calls], taken.calls)
            return False
        except Exception as error:
            logger.exception("events that cannot be stored are dropped")
            _settle([(call.future, StoreError(str(error))) for call in taken.calls], taken.calls)
            self._queue.give_up(taken)
            return True
        if self._failing:
            self._failing = False
            logger.warning("events are stored again")
        in_order = iter(statuses)
        _settle([(call.future, list(islice(in_order, len(call.events)))) for call in taken.calls], taken.calls)
        return True

    def _fail(self, error: StoreError) -> None:
        """Say once that events cannot be stored."""
        if not self._failing:
            self._failing = True
            logger.error("events wait: %s", error)


def _settle(outcomes: Sequence[_Outcome], calls: Sequence[Call]) -> None:
    """Hand outcomes to those who wait, each loop woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for call, outcome in zip(calls, outcomes, strict=True):
        by_loop.setdefault(call.loop, []).append(outcome)
    for loop, its_own in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_complete, its_own)


def _complete(outcomes: Sequence[_Outcome]) -> None:
    for future, outcome in outcomes:
        if future.done():  # its caller left
            continue
        if isinstance(outcome, StoreError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
