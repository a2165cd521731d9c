"""What both databases share: everything an event store does, in SQL that SQLite and PostgreSQL both take.

`service.events.sqlite` and `service.events.postgres` bring connections, transactions and the names of types.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import orjson

from service.events import migrations
from service.events.records import FeedbackEvent, FeedbackStatus, Revision
from service.events.store import Batch, Session, StoreError
from service.events.tables import ANSWER, EXPOSURE, LOSS, PRUNED, SHADOW, Table, inserts

FUTURE_MS = 5 * 60 * 1000
"""A client's clock this far ahead of the server's is flagged."""
_PRUNED_AT_ONCE = 500
_UNIT_KEY_BYTES = 32

FeedbackRow = tuple[str, str, str, int | None, int, float | None, bool | None, bool]
"""A row of `tables.FEEDBACK`."""


class SqlStore(ABC):
    """An event store in SQL.

    Args:
        name: its URL without a password.
        attribution_ms: milliseconds after an exposure in which its feedback counts.
    """

    types: ClassVar[Mapping[str, str]]
    """What this database calls the types in `service.events.migrations`."""

    def __init__(self, name: str, attribution_ms: int) -> None:
        self.name = name
        self.attribution_ms = attribution_ms

    @abstractmethod
    def writing(self) -> AbstractContextManager[Session]:
        """A transaction that writes, durable at its end; undone when an exception leaves it."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Session]:
        """One consistent view of everything committed, on a connection of its own."""

    @abstractmethod
    def glance(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """A short query, on a connection that is kept."""

    @abstractmethod
    def exposed(self, session: Session, request_ids: Sequence[str]) -> dict[str, int]:
        """When each request was first exposed, milliseconds since 1970; a request without exposure is left out."""

    @abstractmethod
    def add_feedback(self, session: Session, rows: Sequence[FeedbackRow]) -> list[bool]:
        """Append feedback, no two rows of one key; whether each is new."""

    @abstractmethod
    def close(self) -> None:
        """Release the database."""

    def migrate(self) -> None:
        """Bring the tables to what this code knows.

        Raises:
            StoreError: the database is newer than the code.
        """
        with self.writing() as session:
            self.lock_schema(session)
            session.run(migrations.RECORD.format_map(self.types))
            [(found,)] = session.rows("SELECT COALESCE(MAX(version), 0) FROM schema_version")
            if found > migrations.LATEST:
                raise StoreError(
                    f"{self.name} has schema version {found}, this service knows versions up to {migrations.LATEST}; "
                    "run a release as new as the one that migrated it, or give another database with CTR_EVENTS"
                )
            for version, statements in migrations.steps(found, self.types):
                for statement in statements:
                    session.run(statement)
                session.run("INSERT INTO schema_version VALUES (?, ?)", (version, _now_ms()))

    @abstractmethod
    def lock_schema(self, session: Session) -> None:
        """Keep other processes from migrating until the transaction ends."""

    def write(self, batch: Batch) -> list[FeedbackStatus]:
        """Write a batch, durable when this returns; what became of each feedback event, in order.

        Raises:
            StoreFullError: the disk is full.
            StoreError: anything else; nothing was written.
        """
        with self.writing() as session:
            self._append(session, EXPOSURE, batch.exposures)
            self._append(session, ANSWER, batch.answers)
            self._append(session, SHADOW, batch.shadows)
            self._append(session, LOSS, batch.losses)
            return self._write_feedback(session, batch.feedback) if batch.feedback else []

    def _append(self, session: Session, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        for sql, values in inserts(table, rows):
            session.run(sql, values)

    def _write_feedback(self, session: Session, events: Sequence[FeedbackEvent]) -> list[FeedbackStatus]:
        exposed = self.exposed(session, list({event.request_id for event in events}))
        first: dict[tuple[str, ...], int] = {}
        for index, event in enumerate(events):
            first.setdefault(event[:3], index)
        rows = [self._row(events[index], exposed.get(events[index].request_id)) for index in first.values()]
        statuses = [FeedbackStatus.DUPLICATE] * len(events)
        for index, row, is_new in zip(first.values(), rows, self.add_feedback(session, rows), strict=True):
            if is_new:
                statuses[index] = _STATUS[row[6]]
        return statuses

    def _row(self, event: FeedbackEvent, exposed_ms: int | None) -> FeedbackRow:
        """The event with its flags: late, and from a clock ahead of ours."""
        late = None if exposed_ms is None else event.ts_server_ms - exposed_ms > self.attribution_ms
        future = event.ts_client_ms is not None and event.ts_client_ms - event.ts_server_ms > FUTURE_MS
        return (*event, late, future)

    def unit_key(self) -> bytes:
        """32 bytes under which units are hashed; made at random once and kept in the store."""
        query = "SELECT value FROM meta WHERE name = 'unit_key'"
        if not (found := self.glance(query)):
            with self.writing() as session:
                made = secrets.token_bytes(_UNIT_KEY_BYTES)
                session.run("INSERT INTO meta VALUES ('unit_key', ?) ON CONFLICT DO NOTHING", (made,))
                found = session.rows(query)  # another process may have been first
        return bytes(found[0][0])

    def latest_revision(self) -> int:
        """Number of the document in force, 0 when there is none yet."""
        return int(self.glance("SELECT COALESCE(MAX(revision), 0) FROM revision")[0][0])

    def revision(self, number: int) -> Revision:
        """One document; raises StoreError if there is none of this number."""
        if rows := self.glance(f"{_REVISIONS} WHERE revision = ?", (number,)):
            return _revision(rows[0])
        raise StoreError(f"{self.name} has no revision {number}, its latest is {self.latest_revision()}")

    def revisions(self) -> list[Revision]:
        """All documents, the oldest first."""
        return [_revision(row) for row in self.glance(f"{_REVISIONS} ORDER BY revision")]

    def add_revision(self, expected: int, action: str, reason: str, document: dict[str, Any]) -> int | None:
        """Put a document in force, durably; its number, or None when the latest is not `expected` any more."""
        values = (expected + 1, _now_ms(), action, reason, orjson.dumps(document).decode())
        with self.writing() as session:
            [(latest,)] = session.rows("SELECT COALESCE(MAX(revision), 0) FROM revision")
            if latest != expected:
                return None
            # Where several may write at a time, the first of two with the same number wins and the other adds no row.
            added = session.run("INSERT INTO revision VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values)
            return expected + 1 if added else None

    def prune(self, before_ms: int, told: Callable[[int], None] = lambda _rows: None) -> int:
        """Delete exposures, answers, feedback, shadows and losses older than `before_ms`; how many rows went.

        Args:
            before_ms: milliseconds since 1970.
            told: called with the number of rows after each that went, some at a time.
        """
        return sum(self._prune(table.name, column, before_ms, told) for table, column in PRUNED)

    def _prune(self, table: str, column: str, before_ms: int, told: Callable[[int], None]) -> int:
        """Delete the old rows of one table: found by a reader, deleted some at a time, so that no writer waits long."""
        old = f"SELECT id FROM {table} WHERE {column} < ?"  # noqa: S608 - our names
        pruned = 0
        with self.reading() as session:
            for chunk in session.chunks(old, (before_ms,)):
                for begin in range(0, len(chunk), _PRUNED_AT_ONCE):
                    ids = [row[0] for row in chunk[begin : begin + _PRUNED_AT_ONCE]]
                    marks = ", ".join("?" * len(ids))
                    with self.writing() as deleting:
                        gone = deleting.run(f"DELETE FROM {table} WHERE id IN ({marks})", ids)  # noqa: S608 - as above
                    pruned += gone
                    told(gone)
        return pruned

    def claim(self, name: str, turn: int) -> bool:
        """Take turn number `turn` of a task of this name that all processes share; False if another has it."""
        sql = """INSERT INTO meta VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE meta.value < excluded.value"""
        with self.writing() as session:
            return session.run(sql, (f"turn of {name}", turn.to_bytes(8, "big"))) == 1


_STATUS = {None: FeedbackStatus.UNKNOWN, True: FeedbackStatus.LATE, False: FeedbackStatus.ACCEPTED}
_REVISIONS = "SELECT revision, ts_ms, action, reason, document FROM revision"


def _revision(row: tuple[Any, ...]) -> Revision:
    number, ts_ms, action, reason, document = row
    return Revision(revision=number, ts_ms=ts_ms, action=action, reason=reason, document=orjson.loads(document))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
