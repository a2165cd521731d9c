"""Events in one SQLite file: nothing to install, one machine.

A write-ahead log lets readers go on while somebody writes. `synchronous=FULL` syncs the log at every commit: what was
acknowledged survives the death of the process and of the machine, at the price of a sync per commit, which is why
`service.events.writer` commits many events at once. Several worker processes write to one file, one at a time.

Source: sqlite.org, "Write-Ahead Logging", "PRAGMA synchronous", "Result and Error Codes".
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import orjson

from service.events.sql import FeedbackRow, SqlStore
from service.events.store import Session, StoreAwayError, StoreError, StoreFullError
from service.events.tables import FEEDBACK, inserts

BUSY_S = 10.0
"""Seconds to wait for another process to end its transaction."""
_CHUNK = 10_000
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
"""No room for the data or for the log's index."""
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class SqliteStore(SqlStore):
    """An event store in one file; its tables are made or migrated when it is opened.

    Args:
        path: the file; made when it does not exist, its directory is not.
        attribution_ms: milliseconds after an exposure in which its feedback counts.

    Raises:
        StoreError: the file cannot be opened, is no SQLite database, or was migrated by a newer release.
    """

    types: ClassVar = {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",  # numbers of deleted rows are not used again
        "integer": "INTEGER",
        "real": "REAL",
        "boolean": "INTEGER",
        "bytes": "BLOB",
    }

    def __init__(self, path: Path, attribution_ms: int) -> None:
        super().__init__(f"sqlite:{path}", attribution_ms)
        self._path = path
        self._write_lock = Lock()
        self._glance_lock = Lock()
        with ExitStack() as undone, self._explained("opened"):
            self._writer = self._connect()
            undone.callback(self._writer.close)
            self._begin_log()
            self.migrate()
            self._reader = self._connect()
            undone.pop_all()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that writes, durable at its end; undone when an exception leaves it."""
        with self._write_lock, self._explained("written"):
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteSession(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have undone it already
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent view of everything committed, on a connection of its own."""
        with self._explained("read"):
            connection = self._connect()
            try:
                connection.execute("BEGIN")
                yield _SqliteSession(connection)
            finally:
                connection.close()

    def lock_schema(self, session: Session) -> None:
        """Nothing to do: every transaction that writes has the file to itself."""

    def glance(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """A short query, on a connection that is kept."""
        with self._glance_lock, self._explained("read"):
            return self._reader.execute(sql, values).fetchall()

    def exposed(self, session: Session, request_ids: Sequence[str]) -> dict[str, int]:
        """When each request was first exposed: all asked for and answered in one row each way."""
        [(found,)] = session.rows(_EXPOSED, (orjson.dumps(request_ids).decode(),))
        return {request_ids[index]: ts_ms for index, ts_ms in orjson.loads(found)}

    def add_feedback(self, session: Session, rows: Sequence[FeedbackRow]) -> list[bool]:
        """Append feedback; nobody else writes meanwhile, so it is enough to ask first what is there already."""
        [(found,)] = session.rows(_STORED, (orjson.dumps([row[:3] for row in rows]).decode(),))
        stored = frozenset(orjson.loads(found))
        fresh = [row for index, row in enumerate(rows) if index not in stored]
        for sql, values in inserts(FEEDBACK, fresh):
            session.run(sql, values)
        return [index not in stored for index in range(len(rows))]

    def close(self) -> None:
        """Release the file; the last to do so empties the log into it."""
        with self._glance_lock, self._write_lock:
            self._reader.close()
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=128
        )
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _begin_log(self) -> None:
        """Switch the file to a write-ahead log; SQLite does not wait by itself for others who do the same."""
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if _code(error) not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        """Raise what SQLite raises as the store's own errors."""
        try:
            yield
        except sqlite3.Error as error:
            message = f"{self.name} cannot be {verb}: {error}"
            if _code(error) in _FULL:
                raise StoreFullError(f"{message}; make room on its disk") from error
            if _code(error) in _BUSY:
                raise StoreAwayError(f"{message} for {BUSY_S:g} s; end what holds it") from error
            raise StoreError(f"{message}; give a database of this service, or a new path, with CTR_EVENTS") from error


class _SqliteSession:
    """SQL on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(sql, values).fetchall()

    def chunks(self, sql: str, values: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query, some thousands at a time."""
        cursor = self._connection.execute(sql, values)
        while rows := cursor.fetchmany(_CHUNK):
            yield rows

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it wrote or deleted."""
        return self._connection.execute(sql, values).rowcount


_EXPOSED = """
SELECT json_group_array(json_array(place, ts_ms)) FROM (
    SELECT asked.key AS place, (SELECT MIN(ts_ms) FROM exposure WHERE request_id = asked.value) AS ts_ms
    FROM json_each(?) AS asked
) WHERE ts_ms IS NOT NULL
"""
_STORED = """
SELECT json_group_array(asked.key) FROM json_each(?) AS asked WHERE EXISTS (
    SELECT 1 FROM feedback
    WHERE request_id = asked.value ->> 0 AND candidate = asked.value ->> 1 AND type = asked.value ->> 2
)
"""


def _code(error: sqlite3.Error) -> int:
    """The code of a failure; what is extended to no full disk is told by its low byte."""
    code = int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR))
    return code if code in _FULL else code & 0xFF
