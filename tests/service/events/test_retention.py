from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from service.events.retention import DAY_MS, Retention
from service.events.sql import SqlStore
from service.events.store import Batch, StoreError
from tests.service.events.builders import NOW_MS, feedback

if TYPE_CHECKING:
    from tests.service.events.conftest import OpenStore


def names(store: SqlStore) -> list[str]:
    with store.reading() as session:
        return [name for (name,) in session.rows("SELECT request_id FROM feedback ORDER BY id")]


def test_what_is_older_than_the_days_is_deleted(store: SqlStore) -> None:
    ages = {"old": 8 * DAY_MS, "edge": 7 * DAY_MS, "new": 0}
    store.write(Batch(feedback=[feedback(name, ts_server_ms=NOW_MS - age) for name, age in ages.items()]))
    assert Retention(store, 7, lambda: NOW_MS / 1000).prune() == 1
    assert names(store) == ["edge", "new"]


def test_of_all_processes_one_prunes_in_an_hour(reopen: OpenStore) -> None:
    now_s = [NOW_MS // 3_600_000 * 3600.0]
    first, second = (Retention(reopen(), 1, lambda: now_s[0]) for _ in range(2))
    assert (first.prune(), second.prune(), first.prune()) == (0, None, None)
    now_s[0] += 3600
    assert (second.prune(), first.prune()) == (0, None)


def test_a_clock_that_went_back_prunes_nothing(store: SqlStore) -> None:
    assert Retention(store, 1, lambda: NOW_MS / 1000).prune() == 0
    assert Retention(store, 1, lambda: NOW_MS / 1000 - 7200).prune() is None


def test_a_service_prunes_soon_after_its_start(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.events.retention.random.uniform", lambda _low, _high: 0.01)
    store.write(Batch(feedback=[feedback("old", ts_server_ms=1), feedback("new", ts_server_ms=time.time_ns())]))
    with Retention(store, 1).running():
        deadline = time.monotonic() + 10
        while names(store) != ["new"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_stopping_ends_a_long_deletion_in_the_middle(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.events.sql._PRUNED_AT_ONCE", 1)
    store.write(Batch(feedback=[feedback(f"r{i}", ts_server_ms=1) for i in range(20)]))
    retention = Retention(store, 1)
    retention._stopped.set()
    assert retention.prune() is None
    assert len(names(store)) == 19


def test_a_store_that_fails_keeps_its_events_and_the_service(
    sqlite_store: SqlStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_name: str, _turn: int) -> bool:
        raise StoreError("disk on fire")

    monkeypatch.setattr(sqlite_store, "claim", fail)
    assert Retention(sqlite_store, 1).prune() is None
    assert "old events are kept for now: disk on fire" in caplog.text
