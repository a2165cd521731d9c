"""The document in force in this process: kept in the event store, changed there, and looked for several times a second.

Whoever changes it writes a revision to the store, and every worker and replica that shares the store finds it within
`POLL_S`. A worker that cannot read the store goes on with what it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from service.events.records import Revision
from service.events.store import EventStore, StoreError
from service.experiment.assignment import Assigner
from service.experiment.document import Document, DocumentError, check, check_change, check_models

POLL_S = 0.25
"""Seconds between two looks at the store."""

Models = Callable[[], tuple[Sequence[str], Sequence[str]]]

logger = logging.getLogger(__name__)


class RevisionConflictError(Exception):
    """Somebody else's document came first; the message says which revision is in force."""


@dataclass(frozen=True, slots=True)
class Current:
    """One document in force and what is worked out from it."""

    revision: int
    document: Document
    assigner: Assigner

    @classmethod
    def of(cls, revision: int, document: Document) -> Current:
        """With an assigner of its own."""
        return cls(revision, document, Assigner(document))


class Live:
    """The document in force, and how it is changed.

    Args:
        store: where revisions are kept.
        models: names of the models that answer, and of those among them that have a bundle here.
        on_change: told of every document that comes into force here.
    """

    def __init__(
        self, store: EventStore, models: Models, on_change: Callable[[Current], None] = lambda _current: None
    ) -> None:
        self.current = Current.of(0, Document())
        self._store = store
        self._models = models
        self._on_change = on_change

    def start(self, first: Document | None) -> None:
        """Take what the store has; put `first` in force if it has nothing. Raises DocumentError, StoreError."""
        if first is not None and self._store.latest_revision() == 0:
            check_models(first, *self._models())
            # Of several workers that start together one is first, the others find its revision.
            self._store.add_revision(0, "start", "the file of the settings", first.model_dump(mode="json"))
        self.refresh()
        if first is not None and first != self.current.document:
            logger.warning(
                "revision %d of the experiments is in force, not the file that the settings name; PUT /experiment "
                "changes it",
                self.current.revision,
            )

    def refresh(self) -> None:
        """Take the latest revision if it is not in force here yet; raises StoreError."""
        latest = self._store.latest_revision()
        if latest != self.current.revision:
            self._take(self._store.revision(latest))

    def revisions(self) -> Sequence[Revision]:
        """Every revision there was, the oldest first; raises StoreError."""
        return self._store.revisions()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While inside, changes made elsewhere come into force here."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def put(self, document: Document, *, reason: str, expected: int | None = None) -> int:
        """Put a document in force everywhere; the number of its revision.

        Args:
            document: checked in itself.
            reason: kept with the revision.
            expected: the revision that it replaces, None for whichever is in force.

        Raises:
            DocumentError: it names a model that is not served, or changes what must not change within a phase.
            RevisionConflictError: `expected` is not in force any more.
            StoreError: the store cannot be written; nothing has changed.
        """
        check_models(document, *self._models())
        return self._replace(lambda _current: document, "put", reason, expected)

    def kill(self, experiment: str | None, *, reason: str) -> int:
        """Switch one experiment, or every one, to the default model everywhere; the number of the revision.

        Raises:
            DocumentError: there is no experiment of this name.
            StoreError: the store cannot be written; nothing has changed.
        """
        return self._replace(lambda current: _killed(current, experiment), "kill", reason, None)

    def _replace(self, change: Callable[[Document], Document], action: str, reason: str, expected: int | None) -> int:
        """Apply a change to the latest document; tried again when another change comes between."""
        while True:
            self.refresh()
            before = self.current
            if expected is not None and before.revision != expected:
                raise RevisionConflictError(f"revision {before.revision} is in force, not {expected}; read it first")
            document = change(before.document)
            check_change(before.document, document)
            added = self._store.add_revision(before.revision, action, reason, document.model_dump(mode="json"))
            if added is not None:
                self.refresh()
                return added

    async def _watch(self) -> None:
        reachable = True
        while True:
            await asyncio.sleep(POLL_S)
            try:
                latest = await asyncio.to_thread(self._store.latest_revision)
                if latest != self.current.revision:
                    self._take(await asyncio.to_thread(self._store.revision, latest))
                reachable = True
            except (StoreError, DocumentError) as error:
                if reachable:
                    logger.exception("revision %d of the experiments stays in force", self.current.revision)
                reachable = False
                logger.debug("%s", error)

    def _take(self, revision: Revision) -> None:
        if revision.revision <= self.current.revision:
            return  # a look that was overtaken by a newer one
        self.current = Current.of(revision.revision, check(revision.document))
        self._on_change(self.current)
        logger.info("revision %d of the experiments is in force: %s", revision.revision, revision.reason)


def _killed(document: Document, name: str | None) -> Document:
    known = [experiment.name for experiment in document.experiments]
    if name is not None and name not in known:
        raise DocumentError("experiment", name, f"one of {', '.join(known)}" if known else "null: there is none")
    switched = [
        experiment.model_copy(update={"kill": True}) if name in (None, experiment.name) else experiment
        for experiment in document.experiments
    ]
    return document.model_copy(update={"experiments": tuple(switched)})
