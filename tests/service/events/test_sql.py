from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.events import migrations, open_store
from service.events.records import FeedbackEvent, FeedbackStatus, Loss
from service.events.sql import SqlStore
from service.events.store import Batch, StoreError
from tests.service.events.builders import ATTRIBUTION_MS, NOW_MS, answered, exposure, feedback, shadow

if TYPE_CHECKING:
    from tests.service.events.conftest import OpenStore

ACCEPTED, DUPLICATE, LATE, UNKNOWN = (
    FeedbackStatus.ACCEPTED,
    FeedbackStatus.DUPLICATE,
    FeedbackStatus.LATE,
    FeedbackStatus.UNKNOWN,
)


def write_feedback(store: SqlStore, *events: FeedbackEvent) -> list[FeedbackStatus]:
    return store.write(Batch(feedback=list(events)))


def stored(store: SqlStore, columns: str, table: str = "feedback") -> list[tuple[Any, ...]]:
    with store.reading() as session:
        return session.rows(f"SELECT {columns} FROM {table} ORDER BY id")  # noqa: S608 - names of this test


def test_feedback_on_a_known_exposure_is_accepted_once(store: SqlStore) -> None:
    store.write(Batch(exposures=[exposure()]))
    assert write_feedback(store, feedback()) == [ACCEPTED]
    assert write_feedback(store, feedback(value=2.0), feedback(kind="click")) == [DUPLICATE, ACCEPTED]
    assert stored(store, "type, value") == [("impression", None), ("click", None)]


def test_a_repeat_within_one_batch_is_a_duplicate_of_the_first(store: SqlStore) -> None:
    batch = Batch(exposures=[exposure()], feedback=[feedback(value=1.0), feedback(value=2.0), feedback("r", "#1")])
    assert store.write(batch) == [ACCEPTED, DUPLICATE, ACCEPTED]
    assert stored(store, "candidate, value") == [("#0", 1.0), ("#1", None)]


def test_feedback_before_its_exposure_is_unknown_and_stored(store: SqlStore) -> None:
    assert write_feedback(store, feedback()) == [UNKNOWN]
    store.write(Batch(exposures=[exposure()]))
    assert write_feedback(store, feedback()) == [DUPLICATE]
    assert stored(store, "late") == [(None,)]


@pytest.mark.parametrize(("after_ms", "status"), [(ATTRIBUTION_MS, ACCEPTED), (ATTRIBUTION_MS + 1, LATE)])
def test_feedback_is_late_once_the_attribution_window_is_over(
    store: SqlStore, after_ms: int, status: FeedbackStatus
) -> None:
    store.write(Batch(exposures=[exposure(), exposure(ts_ms=NOW_MS + 500)]))
    assert write_feedback(store, feedback(ts_server_ms=NOW_MS + after_ms)) == [status]
    assert [bool(late) for (late,) in stored(store, "late")] == [status is LATE]


@pytest.mark.parametrize(("ahead_ms", "future"), [(300_000, False), (300_001, True), (-(10**9), False)])
def test_a_clock_over_five_minutes_ahead_is_flagged(store: SqlStore, ahead_ms: int, *, future: bool) -> None:
    event = feedback()
    write_feedback(store, event._replace(ts_client_ms=event.ts_server_ms + ahead_ms))
    [(client_ms, flag)] = stored(store, "ts_client_ms, future")
    assert (client_ms, bool(flag)) == (event.ts_server_ms + ahead_ms, future)


@pytest.mark.parametrize("rows", [1, 2, 255, 256, 257, 1000])
def test_batches_of_every_size_are_stored_whole_and_in_order(store: SqlStore, rows: int) -> None:
    names = [f"r{i}" for i in range(rows)]
    batch = Batch(
        exposures=[exposure(name) for name in names],
        answers=[answered(name, [0.5], ["a"]) for name in names],
        feedback=[feedback(name) for name in names],
        shadows=[shadow(name) for name in names],
        losses=[Loss(NOW_MS, "answer", i) for i in range(rows)],
    )
    assert store.write(batch) == [ACCEPTED] * rows
    for table in ("exposure", "answer", "shadow"):
        assert [name for (name,) in stored(store, "request_id", table)] == names
    assert sorted(name for (name,) in stored(store, "request_id")) == sorted(names)
    assert len(stored(store, "id", "loss")) == rows


def test_records_come_back_as_they_went_in(store: SqlStore) -> None:
    told = exposure("r", unit="ünit", arm="teacher")._replace(unit="ünit", exposure_id=bytes(range(16)))
    answer = answered("r", [0.25, 1.0], ["a", 1], fallback=True)
    store.write(Batch(exposures=[told], answers=[answer]))
    [row] = stored(store, ", ".join(told._fields), "exposure")
    assert row == tuple(told)
    [row] = stored(store, ", ".join(answer._fields), "answer")
    assert row == tuple(answer)


EVENTS = st.builds(
    feedback,
    st.sampled_from(["r1", "r2", "missing"]),
    st.sampled_from(["#0", "#1", '"a"', "1", '"1"']),
    st.sampled_from(["impression", "click"]),
    ts_server_ms=st.sampled_from([NOW_MS, NOW_MS + ATTRIBUTION_MS + 1]),
)


@given(batches=st.lists(st.lists(EVENTS, max_size=8), max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_feedback_is_repeated_and_batched_each_key_is_stored_once_with_its_first_event(
    store: SqlStore, batches: list[list[FeedbackEvent]]
) -> None:
    with store.writing() as session:
        session.run("DELETE FROM feedback")
        session.run("DELETE FROM exposure")
    store.write(Batch(exposures=[exposure("r1"), exposure("r2")]))
    first: dict[tuple[str, str, str], FeedbackEvent] = {}
    for batch in batches:
        expected = []
        for event in batch:
            fresh = first.setdefault(event[:3], event) is event
            expected.append(status_of(event) if fresh else DUPLICATE)
        assert store.write(Batch(feedback=batch)) == expected
    kept = set(stored(store, "request_id, candidate, type, ts_server_ms"))
    assert kept == {(*key, event.ts_server_ms) for key, event in first.items()}
    assert len(stored(store, "id")) == len(first)


def status_of(event: FeedbackEvent) -> FeedbackStatus:
    """Of an event that is the first with its key."""
    if event.request_id == "missing":
        return UNKNOWN
    return LATE if event.ts_server_ms - NOW_MS > ATTRIBUTION_MS else ACCEPTED


def test_several_processes_writing_the_same_feedback_store_it_once(reopen: OpenStore) -> None:
    """Stores opened one by one share nothing but the database."""
    stores = [reopen() for _ in range(4)]
    batches = [[feedback(f"r{i}", f"#{j}") for j in range(20)] for i in range(10)]
    barrier = threading.Barrier(len(stores))

    def write_all(store: SqlStore) -> int:
        barrier.wait()
        return sum(write_feedback(store, *batch).count(UNKNOWN) for batch in batches)

    with ThreadPoolExecutor(len(stores)) as threads:
        assert sum(threads.map(write_all, stores)) == 200
    assert len(stored(stores[0], "id")) == 200


def test_the_unit_key_is_made_once_whoever_asks_first(reopen: OpenStore) -> None:
    stores = [reopen() for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as threads:
        keys = list(threads.map(lambda store: store.unit_key(), stores))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    assert reopen().unit_key() == keys[0]


def test_unit_keys_of_two_stores_differ(store: SqlStore, open_other: Callable[[], SqlStore]) -> None:
    assert store.unit_key() != open_other().unit_key()


def test_revisions_are_numbered_and_kept(store: SqlStore) -> None:
    assert store.latest_revision() == 0
    assert store.add_revision(0, "start", "", {"default": "student"}) == 1
    assert store.add_revision(1, "put", "ünter", {"default": "teacher", "n": [1, None]}) == 2
    assert store.latest_revision() == 2
    second = store.revision(2)
    assert (second.revision, second.action, second.reason) == (2, "put", "ünter")
    assert second.document == {"default": "teacher", "n": [1, None]}
    assert [kept.revision for kept in store.revisions()] == [1, 2]
    with pytest.raises(StoreError, match="has no revision 3, its latest is 2"):
        store.revision(3)


def test_a_revision_is_added_only_to_the_one_it_was_made_from(store: SqlStore) -> None:
    assert store.add_revision(1, "put", "", {}) is None
    assert store.add_revision(0, "put", "", {}) == 1
    assert store.add_revision(0, "put", "", {}) is None
    assert store.latest_revision() == 1


def test_of_several_that_add_the_next_revision_one_succeeds(reopen: OpenStore) -> None:
    stores = [reopen() for _ in range(4)]
    barrier = threading.Barrier(len(stores))

    def add(store: SqlStore) -> int | None:
        barrier.wait()
        return store.add_revision(0, "put", "", {})

    with ThreadPoolExecutor(len(stores)) as threads:
        added = list(threads.map(add, stores))
    assert sorted(added, key=str) == [1, None, None, None]


def test_pruning_deletes_what_is_older_and_nothing_else(store: SqlStore) -> None:
    for ts_ms in (NOW_MS - 1, NOW_MS):
        name = f"r{ts_ms}"
        store.write(
            Batch(
                exposures=[exposure(name, ts_ms=ts_ms)],
                answers=[answered(name, ts_ms=ts_ms)],
                feedback=[feedback(name, ts_server_ms=ts_ms)],
                shadows=[shadow(name, ts_ms=ts_ms)],
                losses=[Loss(ts_ms, "answer", 1)],
            )
        )
    store.add_revision(0, "start", "", {})
    assert store.prune(NOW_MS) == 5
    assert store.prune(NOW_MS) == 0
    for table in ("exposure", "answer", "feedback", "shadow", "loss"):
        assert len(stored(store, "id", table)) == 1
    assert store.latest_revision() == 1


def test_pruning_goes_on_until_all_is_gone(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.events.sql._PRUNED_AT_ONCE", 10)
    store.write(Batch(feedback=[feedback(f"r{i}", ts_server_ms=NOW_MS - i % 2) for i in range(50)]))
    assert store.prune(NOW_MS) == 25
    assert {ts_ms for (ts_ms,) in stored(store, "ts_server_ms")} == {NOW_MS}


def test_a_failed_batch_leaves_nothing_behind(store: SqlStore) -> None:
    broken = answered("r", status="no number", latency_us=None)
    with pytest.raises(StoreError):
        store.write(Batch(exposures=[exposure()], answers=[broken], feedback=[feedback()]))
    assert stored(store, "id", "exposure") == []
    assert write_feedback(store, feedback()) == [UNKNOWN]


def test_a_reader_sees_one_state_of_the_store_whatever_is_written_meanwhile(store: SqlStore) -> None:
    store.write(Batch(exposures=[exposure("r1")]))
    with store.reading() as session:
        before = session.rows("SELECT COUNT(*) FROM exposure")
        store.write(Batch(exposures=[exposure("r2")]))
        assert session.rows("SELECT COUNT(*) FROM exposure") == before == [(1,)]
    assert len(stored(store, "id", "exposure")) == 2


def test_a_store_opened_again_has_what_was_written(reopen: OpenStore) -> None:
    first = reopen()
    first.write(Batch(exposures=[exposure()]))
    first.close()
    assert write_feedback(reopen(), feedback()) == [ACCEPTED]


def test_a_database_of_a_newer_release_is_refused_with_what_to_do(
    reopen: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, ("CREATE TABLE further (x {integer})",)))
        newer.setattr(migrations, "LATEST", migrations.LATEST + 1)
        reopen()
    with pytest.raises(
        StoreError, match=r"schema version 2, this service knows versions up to 1; run a release as new"
    ):
        reopen()


def test_a_database_of_an_older_release_is_migrated_and_keeps_its_rows(
    reopen: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reopen().write(Batch(exposures=[exposure()]))
    monkeypatch.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, ("ALTER TABLE exposure ADD x {integer}",)))
    monkeypatch.setattr(migrations, "LATEST", migrations.LATEST + 1)
    reopened = reopen()
    assert stored(reopened, "request_id, x", "exposure") == [("r", None)]
    with reopened.reading() as session:
        assert session.rows("SELECT version FROM schema_version ORDER BY version") == [(1,), (2,)]


def test_several_that_open_an_empty_database_at_a_time_migrate_it_once(url: str) -> None:
    barrier = threading.Barrier(4)

    def open_one(_: int) -> SqlStore:
        barrier.wait()
        return open_store(url, ATTRIBUTION_MS)

    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(open_one, range(4)))
    with stores[0].reading() as session:
        assert session.rows("SELECT version FROM schema_version") == [(1,)]
    for store in stores:
        store.close()
