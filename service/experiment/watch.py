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
from collections.abc import Iterator

from service.events.store import EventStore, StoreError
from service.experiment.document import Experiment
from service.experiment.live import Live
from service.experiment.report.build import build_report
from service.experiment.report.schema import Verdict
from service.experiment.report.subject import UnknownPhaseError

STOPPING = "stop_harm"
"""The verdict that is acted upon."""
_LONGEST = 500

logger = logging.getLogger(__name__)


def watch(store: EventStore, every_s: float) -> Iterator[tuple[str, Verdict]]:
    """Look at every running experiment every `every_s` seconds, for ever; each verdict, harm already stopped.

    A store that does not answer is tried again at the next look.
    """
    live = Live(store, lambda: ([], []))  # it only ever throws switches, and those name no model
    while True:
        begun = time.monotonic()
        try:
            live.refresh()
            for experiment in [run for run in live.current.document.experiments if not run.kill]:
                verdict = _look(store, live, experiment)
                if verdict is not None:
                    yield experiment.name, verdict
        except StoreError as error:
            logger.warning("%s; looked at again in %g s", error, every_s)
        time.sleep(max(0.0, every_s - (time.monotonic() - begun)))


def _look(store: EventStore, live: Live, experiment: Experiment) -> Verdict | None:
    """The verdict on one phase, its switch thrown if it does harm; None while nothing was logged of it."""
    try:
        verdict = build_report(store, experiment.name, experiment.phase).verdict
    except UnknownPhaseError:
        return None
    if verdict.verdict == STOPPING:
        reason = f"watch: {'; '.join(reason.text for reason in verdict.reasons)}"[:_LONGEST]
        revision = live.kill(experiment.name, reason=reason)
        logger.warning("%s phase %d stopped in revision %d: %s", experiment.name, experiment.phase, revision, reason)
    return verdict
