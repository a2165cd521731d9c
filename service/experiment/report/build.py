"""From the event store to the report: read once, then arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from service.events.reading import PhaseRows, read_phase, read_shadows
from service.events.records import ShadowComparison
from service.events.store import EventStore
from service.experiment.model_facts import read_models
from service.experiment.report.analysis import Read, analyse
from service.experiment.report.schema import Report
from service.experiment.report.subject import Subject, find_subject


def build_report(
    store: EventStore, experiment: str | None = None, phase: int | None = None, until_ms: int | None = None
) -> Report:
    """The report on a phase, from the event store alone: the same store gives the same report, but for its time.

    Args:
        store: where everything is.
        experiment: its name; the first of the document in force if None.
        phase: its phase; the last one if None.
        until_ms: only what happened before this time, milliseconds since 1970; everything if None.

    Raises:
        UnknownPhaseError: there is no such experiment or phase.
        StoreError: the store cannot be read.
    """
    subject = find_subject(store, experiment, phase)
    rows = read_phase(store, subject.experiment.name, subject.experiment.phase, until_ms)
    read = Read(
        subject=subject,
        rows=rows,
        facts=read_models(store),
        raw=_raw_units(store, subject, until_ms),
        shadows=_shadows(store, rows, until_ms),
    )
    return analyse(read, generated_at=datetime.now(UTC).isoformat(timespec="seconds"))


def _shadows(store: EventStore, rows: PhaseRows, until_ms: int | None) -> list[ShadowComparison]:
    """Comparisons made while the phase ran; of all requests, whatever experiment they were in."""
    if not len(rows.ts_ms_E):
        return []
    found = read_shadows(store, since_ms=int(rows.ts_ms_E.min()))
    return found if until_ms is None else [one for one in found if one.ts_ms < until_ms]


def _raw_units(store: EventStore, subject: Subject, until_ms: int | None) -> Mapping[str, str]:
    """Unit → arm of its first exposure, of units that are stored as they are."""
    sql = """
    SELECT unit, arm FROM exposure
    WHERE experiment = ? AND phase = ? AND reason = 'assigned' AND ts_ms < ? AND unit IS NOT NULL
    ORDER BY ts_ms DESC, id DESC
    """
    until_ms = 2**62 if until_ms is None else until_ms
    run = subject.experiment
    arms: dict[str, str] = {}
    with store.reading() as session:
        for chunk in session.chunks(sql, (run.name, run.phase, until_ms)):
            arms.update(chunk)  # the first exposure comes last
    return arms
