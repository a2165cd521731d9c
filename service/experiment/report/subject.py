"""Which experiment and phase a report is about, as the event store's own documents have it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from service.events.records import Revision
from service.events.store import EventStore
from service.experiment.document import Document, Experiment, check
from service.experiment.report.schema import RevisionView


class UnknownPhaseError(LookupError):
    """The store knows no such experiment or phase; the message says which it knows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One phase of one experiment."""

    experiment: Experiment
    """As the last document of the phase has it."""
    revisions: tuple[RevisionView, ...]
    """The documents that held this phase, the oldest first."""

    @property
    def config_hash(self) -> str:
        """16 hex digits over what decides and judges: not the ramp and not the kill switch, which may move."""
        fixed = self.experiment.model_dump(mode="json", exclude={"ramp", "kill"})
        return hashlib.sha256(orjson.dumps(fixed, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def find_subject(store: EventStore, name: str | None, phase: int | None) -> Subject:
    """The phase asked for; by default the last phase of the first experiment of the document in force.

    Raises:
        UnknownPhaseError: there is none.
        StoreError: the store cannot be read.
    """
    documents = [(revision, check(revision.document)) for revision in store.revisions()]
    name = _default_name(documents) if name is None else name
    held = [(revision, run) for revision, document in documents for run in document.experiments if run.name == name]
    if phase is None and held:
        phase = held[-1][1].phase
    of_phase = [(revision, run) for revision, run in held if run.phase == phase]
    if not of_phase:
        raise UnknownPhaseError(_unknown(documents, name, phase))
    return Subject(experiment=of_phase[-1][1], revisions=tuple(_view(revision) for revision, _ in of_phase))


def _default_name(documents: Sequence[tuple[Revision, Document]]) -> str:
    latest = documents[-1][1].experiments if documents else ()
    if not latest:
        raise UnknownPhaseError("no experiment is in force; name one, or begin one with PUT /experiment")
    return latest[0].name


def _unknown(documents: Sequence[tuple[Revision, Document]], name: str, phase: int | None) -> str:
    known = sorted({f"{run.name} phase {run.phase}" for _, document in documents for run in document.experiments})
    asked = name if phase is None else f"{name} phase {phase}"
    return f"experiment: got {asked}, expected one of: {', '.join(known) or 'none yet; begin one with PUT /experiment'}"


def _view(revision: Revision) -> RevisionView:
    return RevisionView(
        revision=revision.revision, ts_ms=revision.ts_ms, action=revision.action, reason=revision.reason
    )
