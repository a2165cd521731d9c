from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from service.events import open_store
from service.events.records import FeedbackStatus
from service.events.sql import SqlStore
from service.events.store import Batch, StoreAwayError, StoreError, StoreFullError
from service.events.writer import EventLog
from tests.service.events.builders import ATTRIBUTION_MS, answered, exposure, feedback


def test_commits_are_synced_to_a_write_ahead_log(sqlite_store: SqlStore) -> None:
    full = 2
    with sqlite_store.writing() as session:
        assert session.rows("PRAGMA journal_mode") == [("wal",)]
        assert session.rows("PRAGMA synchronous") == [(full,)]


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"precious notes, certainly no database\n" * 100)
    with pytest.raises(StoreError, match=r"events cannot be .*: file is not a database; give .* with CTR_EVENTS"):
        open_store(f"sqlite:{path}", ATTRIBUTION_MS)
    assert path.read_bytes().startswith(b"precious")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing/events.sqlite3 cannot be opened: unable to open"):
        open_store(f"sqlite:{tmp_path}/missing/events.sqlite3", ATTRIBUTION_MS)


def test_a_relative_path_is_relative_to_where_the_service_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:here.sqlite3", ATTRIBUTION_MS).close()
    assert (tmp_path / "here.sqlite3").exists()


def test_a_writer_waits_for_another_and_gives_up_saying_so(
    sqlite_store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.events.sqlite.BUSY_S", 0.1)
    other = open_store(f"sqlite:{tmp_path}/events.sqlite3", ATTRIBUTION_MS)
    with sqlite_store.writing(), pytest.raises(StoreAwayError, match="database is locked"):
        other.write(Batch(feedback=[feedback()]))
    assert other.write(Batch(feedback=[feedback()])) == [FeedbackStatus.UNKNOWN]
    other.close()


WRITE_UNTIL_KILLED = """
import sys
from service.events import open_store
from service.events.store import Batch
from tests.service.events.builders import feedback
store = open_store(sys.argv[1], 1000)
for i in range(10**9):
    store.write(Batch(feedback=[feedback(f"r{i}", f"#{j}") for j in range(20)]))
    print(i, flush=True)
"""


def test_what_was_written_outlives_the_process_that_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/events.sqlite3"
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    ) as process:
        assert process.stdout is not None
        written = [int(process.stdout.readline()) for _ in range(30)]
        process.send_signal(signal.SIGKILL)
    store = open_store(url, 1000)
    with store.reading() as session:
        rows = session.rows("SELECT request_id, COUNT(*) FROM feedback GROUP BY request_id")
    store.close()
    assert {name for name, _ in rows} >= {f"r{i}" for i in written}
    assert {events for _, events in rows} == {20}


def test_a_full_disk_is_said_to_be_full_reads_go_on_and_writes_do_once_there_is_room(tiny_disk: Path) -> None:
    store = open_store(f"sqlite:{tiny_disk}/events.sqlite3", ATTRIBUTION_MS)
    log = EventLog(store, gather_s=0, retry_s=0.02)
    log.start()
    asyncio.run(log.feedback([feedback("first")]))
    ballast = tiny_disk / "ballast"
    fill(ballast)
    for _ in range(100):
        log.answered(answered("r", probabilities=[0.5] * 2000))
    with pytest.raises(StoreFullError, match="make room on its disk"):
        asyncio.run(log.feedback([feedback("r", f"#{i}") for i in range(20_000)]))
    with store.reading() as session:
        assert session.rows("SELECT request_id FROM feedback") == [("first",)]
    ballast.unlink()
    assert asyncio.run(log.feedback([feedback("first"), feedback("second")])) == [
        FeedbackStatus.DUPLICATE,
        FeedbackStatus.UNKNOWN,
    ]
    log.close()
    store.close()


def fill(path: Path) -> None:
    """Write to a file until there is no room left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def test_the_database_is_what_sqlites_own_check_calls_sound(sqlite_store: SqlStore, tmp_path: Path) -> None:
    sqlite_store.write(Batch(exposures=[exposure(f"r{i}") for i in range(500)]))
    sqlite_store.close()
    with sqlite3.connect(tmp_path / "events.sqlite3") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
