"""Stops what does harm: looks at every running experiment again and again, and throws its kill switch on `stop_harm`.

A process of its own, `python -m service watch`: it reads the whole phase at every look and needs SciPy, neither of
which belongs into a process that answers. The intervals it goes by hold at every look, so that looking every few
seconds stops no more experiments wrongly than looking once. It acts through the event store, as PUT /experiment does,
so every worker and replica follows within a quarter of a second.

Only harm is acted upon. An invalid experiment harms nobody; what it needs is a person.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from typing import Protocol

from service.events.store import EventStore, StoreError
from service.experiment.document import Experiment
from service.experiment.live import Live
from service.experiment.report.build import build_report
from service.experiment.report.schema import Report, Verdict
from service.experiment.report.subject import UnknownPhaseError

STOPPING = "stop_harm"
"""The verdict that is acted upon."""
_LONGEST = 500

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told what the watch sees."""

    def saw(self, report: Report) -> None:
        """A report on a running experiment."""

    def stopped(self) -> None:
        """An experiment was stopped."""

    def failed(self) -> None:
        """The store did not answer."""

    def looked(self, running: Collection[str], seconds: float) -> None:
        """Every experiment that runs was looked at, which took so long."""


class Nobody:
    """An observer that does nothing."""

    def saw(self, report: Report) -> None:
        """Nothing."""

    def stopped(self) -> None:
        """Nothing."""

    def failed(self) -> None:
        """Nothing."""

    def looked(self, running: Collection[str], seconds: float) -> None:
        """Nothing."""


def watch(store: EventStore, every_s: float, observer: Observer | None = None) -> Iterator[tuple[str, Verdict]]:
    """Look at every running experiment every `every_s` seconds, for ever; each verdict, harm already stopped.

    A store that does not answer is tried again at the next look. The observer is told of everything seen. Looks that
    take long come less often: half of the time at most is spent on them.
    """
    told = observer or Nobody()
    live = Live(store, lambda: ([], []))  # it only ever throws switches, and those name no model
    while True:
        begun = time.monotonic()
        try:
            live.refresh()
            running = [run for run in live.current.document.experiments if not run.kill]
            for experiment in running:
                verdict = _look(store, live, experiment, told)
                if verdict is not None:
                    yield experiment.name, verdict
            told.looked({run.name for run in running}, time.monotonic() - begun)
        except StoreError as error:
            told.failed()
            logger.warning("%s; looked at again in %g s", error, every_s)
        took_s = time.monotonic() - begun
        time.sleep(max(every_s - took_s, took_s))


def _look(store: EventStore, live: Live, experiment: Experiment, told: Observer) -> Verdict | None:
    """The verdict on one phase, its switch thrown if it does harm; None while nothing was logged of it."""
    try:
        report = build_report(store, experiment.name, experiment.phase)
    except UnknownPhaseError:
        return None
    told.saw(report)
    verdict = report.verdict
    if verdict.verdict == STOPPING:
        reason = f"watch: {'; '.join(reason.text for reason in verdict.reasons)}"[:_LONGEST]
        revision = live.kill(experiment.name, reason=reason)
        told.stopped()
        logger.warning("%s phase %d stopped in revision %d: %s", experiment.name, experiment.phase, revision, reason)
    return verdict
