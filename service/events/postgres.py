"""Events in PostgreSQL: one store for several replicas of the service, which all write at the same time.

Unique keys and ON CONFLICT make what SQLite's lock makes there: of two that write the same, one does. A connection
that broke, because the server was restarted, is made again at the next call; what was being written then is undone
and reported as such, and whoever waited may send it again, since feedback counts once.

Needs the extra `postgres` (psycopg 3). Source: postgresql.org, "INSERT", "Advisory Locks", "Error Codes".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from threading import Lock
from typing import Any, ClassVar, cast

import psycopg
from psycopg.errors import DiskFull

from service.events.sql import FeedbackRow, SqlStore
from service.events.store import Session, StoreAwayError, StoreError, StoreFullError
from service.events.tables import FEEDBACK, inserts
from service.events.urls import without_password

CONNECT_S = 5
"""Seconds to wait for the server."""
_CHUNK = 10_000
_MIGRATION_LOCK = 0x6374725F6576
"""Any number that no other program locks."""
_OPTIONS = "-c synchronous_commit=on -c lock_timeout=10s -c statement_timeout=0"


class PostgresStore(SqlStore):
    """An event store in a PostgreSQL database; its tables are made or migrated when it is opened.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
        attribution_ms: milliseconds after an exposure in which its feedback counts.

    Raises:
        StoreAwayError: the server does not answer, or refuses the user.
        StoreError: the database was migrated by a newer release, or its user may not make tables.
    """

    types: ClassVar = {
        "id": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "integer": "BIGINT",
        "real": "DOUBLE PRECISION",
        "boolean": "BOOLEAN",
        "bytes": "BYTEA",
    }

    def __init__(self, url: str, attribution_ms: int) -> None:
        super().__init__(without_password(url), attribution_ms)
        self._url = url
        self._writer = _Kept(self)
        self._reader = _Kept(self)
        try:
            self.migrate()
        except StoreError:
            self.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that writes, durable at its end; undone when an exception leaves it."""
        with self._writer.connection() as connection, connection.transaction():
            yield _PostgresSession(connection)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent view of everything committed, on a connection of its own."""
        with self.explained("read"):
            connection = self.connect()
            try:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                with connection.transaction():
                    yield _PostgresSession(connection)
            finally:
                connection.close()

    def lock_schema(self, session: Session) -> None:
        """Keep other processes from migrating until the transaction ends."""
        session.rows("SELECT pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))

    def glance(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """A short query, on a connection that is kept."""
        with self._reader.connection() as connection:
            return _PostgresSession(connection).rows(sql, values)

    def exposed(self, session: Session, request_ids: Sequence[str]) -> dict[str, int]:
        """When each request was first exposed."""
        sql = "SELECT request_id, MIN(ts_ms) FROM exposure WHERE request_id = ANY(?) GROUP BY request_id"
        return dict(cast("list[tuple[str, int]]", session.rows(sql, (list(request_ids),))))

    def add_feedback(self, session: Session, rows: Sequence[FeedbackRow]) -> list[bool]:
        """Append feedback; what another replica has stored meanwhile is not returned as added."""
        suffix = "ON CONFLICT DO NOTHING RETURNING request_id, candidate, type"
        # Two writers that lock the same keys in different orders would wait for each other.
        ordered = sorted(rows, key=lambda row: row[:3])
        added = chain.from_iterable(session.rows(*statement) for statement in inserts(FEEDBACK, ordered, suffix))
        fresh = set(added)
        return [row[:3] in fresh for row in rows]

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()
        self._reader.close()

    def connect(self) -> psycopg.Connection:
        """A new connection; what does not ask for a transaction is on its own."""
        return psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_S, options=_OPTIONS)

    @contextmanager
    def explained(self, verb: str) -> Iterator[None]:
        """Raise what psycopg raises as the store's own errors."""
        try:
            yield
        except psycopg.Error as error:
            message = f"{self.name} cannot be {verb}: {str(error).strip().replace(self._url, self.name)}"
            if isinstance(error, DiskFull):
                raise StoreFullError(f"{message}; make room on the server's disk") from error
            if isinstance(error, psycopg.OperationalError):
                raise StoreAwayError(f"{message}; start the server, or correct CTR_EVENTS") from error
            raise StoreError(message) from error


class _Kept:
    """One connection, for one caller at a time, made at its first use and again after it broke."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._lock = Lock()
        self._open: psycopg.Connection | None = None

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """The connection; raises the store's errors."""
        with self._lock, self._store.explained("reached"):
            if self._open is None or self._open.closed or self._open.broken:
                self._open = self._store.connect()
            yield self._open

    def close(self) -> None:
        """Close the connection if there is one."""
        with self._lock:
            if self._open is not None:
                self._open.close()


class _PostgresSession:
    """SQL on one connection."""

    _names = count()

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(_percent(sql), values).fetchall()

    def chunks(self, sql: str, values: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query, some thousands at a time; the rest stays on the server meanwhile."""
        with self._connection.cursor(f"chunks_{next(self._names)}", binary=True) as cursor:
            cursor.execute(_percent(sql), values)
            while rows := cursor.fetchmany(_CHUNK):
                yield rows

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it wrote or deleted. PostgreSQL's text has no NUL: it is replaced."""
        storable = [value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in values]
        return self._connection.execute(_percent(sql), storable, binary=True).rowcount


def _percent(sql: str) -> Any:
    """The SQL with psycopg's placeholders; nothing else in it is a question mark or a percent sign."""
    return sql.replace("?", "%s")
