"""What an event store can do, whichever database keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.events.records import (
    Answered,
    Exposure,
    FeedbackEvent,
    FeedbackStatus,
    Loss,
    Revision,
    ShadowComparison,
)


class StoreError(Exception):
    """The store cannot be opened, read or written; the message says which, why, and what to do."""


class StoreFullError(StoreError):
    """There is no room for what was to be written; nothing of it was."""


class StoreAwayError(StoreError):
    """The database cannot be reached or is busy for too long; nothing was written, and trying again may help."""


class Session(Protocol):
    """SQL within one transaction; a question mark stands for every value."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        ...

    def chunks(self, sql: str, values: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query, some thousands at a time."""
        ...

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it wrote or deleted."""
        ...


@dataclass(kw_only=True, slots=True)
class Batch:
    """Records that are written in one transaction."""

    exposures: list[Exposure] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    feedback: list[FeedbackEvent] = field(default_factory=list)
    shadows: list[ShadowComparison] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


class EventStore(Protocol):
    """A database of events. Every method may be called from any thread; one caller at a time writes."""

    name: str
    """Its URL without a password, for messages."""
    attribution_ms: int
    """Milliseconds after an exposure in which its feedback counts."""

    def reading(self) -> AbstractContextManager[Session]:
        """One consistent view of everything committed, for bulk reads; it never holds up a writer."""
        ...

    def write(self, batch: Batch) -> list[FeedbackStatus]:
        """Write a batch, durable when this returns; what became of each feedback event, in order.

        Raises:
            StoreFullError: the disk is full.
            StoreError: anything else; nothing was written.
        """
        ...

    def unit_key(self) -> bytes:
        """32 bytes under which units are hashed; made at random once and kept in the store."""
        ...

    def latest_revision(self) -> int:
        """Number of the document in force, 0 when there is none yet. Cheap: asked several times a second."""
        ...

    def revision(self, number: int) -> Revision:
        """One document; raises StoreError if there is none of this number."""
        ...

    def revisions(self) -> Sequence[Revision]:
        """All documents, the oldest first."""
        ...

    def add_revision(self, expected: int, action: str, reason: str, document: dict[str, Any]) -> int | None:
        """Put a document in force, durably; its number, or None when the latest is not `expected` any more."""
        ...

    def prune(self, before_ms: int) -> int:
        """Delete exposures, answers, feedback and shadows older than `before_ms`; how many rows went."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...
