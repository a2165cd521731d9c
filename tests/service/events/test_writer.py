from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from service.events.records import FeedbackStatus
from service.events.sql import SqlStore
from service.events.store import Batch, StoreAwayError, StoreError, StoreFullError
from service.events.writer import EventLog
from tests.service.events.builders import answered, exposure, feedback, shadow

if TYPE_CHECKING:
    from tests.service.events.conftest import Postgres

ACCEPTED, DUPLICATE, UNKNOWN = FeedbackStatus.ACCEPTED, FeedbackStatus.DUPLICATE, FeedbackStatus.UNKNOWN
LONG_S = 10.0
"""Longer than any test takes: what waits for this long does not wait at all."""

OpenLog = Callable[..., EventLog]


@pytest.fixture
def open_log(store: SqlStore) -> Iterator[OpenLog]:
    """Opens a log of this test's store."""
    opened: list[EventLog] = []

    def open_one(**options: Any) -> EventLog:
        opened.append(EventLog(store, **options))
        opened[-1].start()
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


def count(store: SqlStore, table: str) -> int:
    with store.reading() as session:
        return int(session.rows(f"SELECT COUNT(*) FROM {table}")[0][0])  # noqa: S608 - names of this test


def losses(store: SqlStore) -> dict[str, int]:
    with store.reading() as session:
        return {kind: int(lost) for kind, lost in session.rows("SELECT kind, SUM(dropped) FROM loss GROUP BY kind")}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_feedback_is_in_the_store_when_it_is_acknowledged(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log()

    async def send() -> None:
        assert await log.feedback([feedback("r", "#0"), feedback("r", "#0")]) == [UNKNOWN, DUPLICATE]
        assert count(store, "feedback") == 1

    asyncio.run(send())


def test_every_caller_of_one_transaction_gets_its_own_outcomes(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log()
    log.expose(exposure("r"))

    async def send() -> list[list[FeedbackStatus]]:
        calls = [[feedback("r", f"#{i}"), feedback("x", f"#{i}"), feedback("r", "#0")] for i in range(50)]
        return await asyncio.gather(*(log.feedback(events) for events in calls))

    first, *others = asyncio.run(send())
    assert first == [ACCEPTED, UNKNOWN, DUPLICATE]
    assert others == [first] * 49
    assert count(store, "feedback") == 100


def test_no_events_are_answered_without_the_store(open_log: OpenLog) -> None:
    assert asyncio.run(open_log().feedback([])) == []


def test_records_of_every_kind_are_written_without_anybody_waiting(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log()
    assert log.expose(exposure())
    assert log.answered(answered())
    assert log.shadowed(shadow())
    until(lambda: all(count(store, table) == 1 for table in ("exposure", "answer", "shadow")))


def test_feedback_does_not_wait_for_others_to_gather(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log(gather_s=LONG_S)
    log.expose(exposure("r"))
    time.sleep(0.05)  # the writer gathers by now

    async def send() -> list[FeedbackStatus]:
        async with asyncio.timeout(LONG_S / 2):
            return await log.feedback([feedback("r")])

    assert asyncio.run(send()) == [ACCEPTED]


def test_callers_wait_for_as_many_as_there_were_last_time(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log(company_s=LONG_S)

    async def send() -> None:
        with store.writing():  # so that three calls are one transaction
            await asyncio.wait([call(0)], timeout=0.05)
            three = [call(i) for i in (1, 2, 3)]
            await asyncio.sleep(0.05)
        await asyncio.wait_for(asyncio.gather(*three), LONG_S / 2)
        two = [call(4)]
        await asyncio.sleep(0.05)
        two.append(call(5))
        assert (await asyncio.wait(two, timeout=0.1))[0] == set()
        await asyncio.wait_for(asyncio.gather(*two, call(6)), LONG_S / 2)

    def call(number: int) -> asyncio.Task[list[FeedbackStatus]]:
        return asyncio.create_task(log.feedback([feedback(f"r{number}")]))

    asyncio.run(send())


def test_a_lone_caller_waits_for_nobody(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log(company_s=LONG_S)

    async def send() -> None:
        async with asyncio.timeout(LONG_S / 2):
            for i in range(3):
                await log.feedback([feedback(f"r{i}")])

    asyncio.run(send())


def test_closing_writes_what_waits(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log(gather_s=LONG_S)
    for i in range(5000):
        assert log.expose(exposure(f"r{i}"))
    log.close()
    assert count(store, "exposure") == 5000


def test_a_closed_log_takes_nothing_in(open_log: OpenLog) -> None:
    log = open_log()
    log.close()
    assert not log.expose(exposure())
    with pytest.raises(StoreAwayError, match="is stopping"):
        asyncio.run(log.feedback([feedback()]))


def test_what_finds_no_room_is_dropped_counted_and_reported_once_there_is_room(
    store: SqlStore, open_log: OpenLog
) -> None:
    told: list[tuple[str, int]] = []
    log = open_log(max_queued=3, gather_s=0, dropped=lambda kind, dropped: told.append((kind, dropped)))
    with store.writing():  # holds up the writer
        log.expose(exposure("r0"))
        until(lambda: log.queued == 0)
        assert [log.expose(exposure(f"r{i}")) for i in range(1, 5)] == [True, True, True, False]
        assert not log.answered(answered("r1"))
        assert not log.shadowed(shadow("r1"))
        with pytest.raises(StoreAwayError, match="3 records wait"):
            asyncio.run(log.feedback([feedback("r0")]))
    until(lambda: count(store, "exposure") == 4)
    log.expose(exposure("r6"))
    until(lambda: count(store, "exposure") == 5)
    assert told == [("exposure", 1), ("answer", 1), ("shadow", 1)]
    assert losses(store) == {"exposure": 1, "answer": 1, "shadow": 1}


def test_a_big_answer_takes_the_room_of_several(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log(max_queued=4, gather_s=0)
    with store.writing():
        log.expose(exposure("r0"))
        until(lambda: log.queued == 0)
        assert log.answered(answered("r", probabilities=[0.5] * 1024))
        assert log.queued == 5
        assert not log.expose(exposure("r1"))


def test_a_caller_that_left_hurts_nobody(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log()

    async def send() -> list[FeedbackStatus]:
        with store.writing():
            leaving = asyncio.create_task(log.feedback([feedback("r", "#0")]))
            staying = asyncio.create_task(log.feedback([feedback("r", "#1")]))
            await asyncio.sleep(0.05)
            leaving.cancel()
        return await staying

    assert asyncio.run(send()) == [UNKNOWN]
    assert count(store, "feedback") == 2


def test_records_that_can_never_be_stored_are_dropped_counted_and_do_not_block_others(
    store: SqlStore, open_log: OpenLog, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(gather_s=0)
    log.answered(answered("bad", latency_us=None))
    until(lambda: "cannot be stored are dropped" in caplog.text)
    log.answered(answered("good"))
    until(lambda: count(store, "answer") == 1)
    assert losses(store) == {"answer": 1}


def test_callers_on_several_loops_are_answered(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log()
    outcomes: list[list[FeedbackStatus]] = []

    def send(i: int) -> None:
        outcomes.append(asyncio.run(log.feedback([feedback(f"r{i}")])))

    threads = [threading.Thread(target=send, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [[UNKNOWN]] * 8


def test_postgresql_restarted_is_written_to_again_and_what_waited_is_there(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    from service.events import open_store  # noqa: PLC0415 - beside its only use

    store = open_store(postgres.new_url(), 1000)
    log = EventLog(store, gather_s=0, retry_s=0.05)
    log.start()
    try:
        assert asyncio.run(log.feedback([feedback("r1")])) == [UNKNOWN]
        postgres.stop()
        log.expose(exposure("r2"))
        with pytest.raises(StoreAwayError, match="start the server"):
            asyncio.run(log.feedback([feedback("r2")]))
        postgres.start()
        until(lambda: log.queued == 0)
        assert asyncio.run(log.feedback([feedback("r2")])) == [ACCEPTED]
        assert store.latest_revision() == 0
    finally:
        log.close()
        store.close()
    assert losses_of_log(caplog) == ["events wait", "events are stored again"]


def losses_of_log(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage().partition(":")[0] for record in caplog.records if record.name == "service.events.writer"
    ]


def test_a_store_without_room_refuses_feedback_and_keeps_what_else_waits(sqlite_store: SqlStore) -> None:
    """`max_page_count` makes SQLite itself report a full disk."""
    store = sqlite_store
    log = EventLog(store, gather_s=0, retry_s=0.02)
    log.start()
    limit_pages(store, 1)
    log.expose(exposure("r", ts_ms=1))
    with pytest.raises(StoreFullError, match="make room on its disk"):
        asyncio.run(log.feedback([feedback(f"r{i}", f"#{j}") for i in range(50) for j in range(20)]))
    assert count(store, "feedback") == 0  # reads go on
    limit_pages(store, 1 << 30)
    until(lambda: count(store, "exposure") == 1)
    assert asyncio.run(log.feedback([feedback("r2")])) == [UNKNOWN]
    log.close()


def limit_pages(store: SqlStore, pages: int) -> None:
    with store._write_lock:  # type: ignore[attr-defined]
        store._writer.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]


def test_exposures_beyond_the_bound_are_lost_while_the_disk_is_full(sqlite_store: SqlStore) -> None:
    store = sqlite_store
    log = EventLog(store, max_queued=10_000, gather_s=0, retry_s=0.02)
    log.start()
    limit_pages(store, 1)
    given = sum(log.expose(exposure(f"r{i}")) for i in range(20_000))
    assert given < 20_000
    limit_pages(store, 1 << 30)
    until(lambda: log.queued == 0)
    log.expose(exposure("last"))
    log.close()
    assert count(store, "exposure") == given + 1
    assert losses(store) == {"exposure": 20_000 - given}


def test_other_failures_say_what_they_are(store: SqlStore, open_log: OpenLog) -> None:
    log = open_log()
    with pytest.raises(StoreError):
        asyncio.run(log.feedback([feedback(ts_server_ms=None)]))
    assert store.write(Batch(feedback=[feedback()])) == [UNKNOWN]
