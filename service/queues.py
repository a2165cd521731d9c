"""Instruments of work that waits for a model, and of what is turned away so that the rest need not wait for ever."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueInstruments:
    """What becomes of one arm's work that has to wait."""

    candidates: Gauge
    """That wait now."""
    busy: Counter
    """Requests refused at once: as many wait as may."""
    deadline: Counter
    """Requests given up: not answered in time."""


class Queues:
    """The instruments of every arm's queue, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._candidates = Gauge(
            "ctr_queue_candidates",
            "Candidates that wait for a thread to score them.",
            ["arm"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        shed = Counter(
            "ctr_shed_total",
            "Requests to a model that were turned away: busy (as many wait as may), deadline (not answered in time).",
            ["reason"],
            registry=registry,
        )
        self._busy, self._deadline = shed.labels(reason="busy"), shed.labels(reason="deadline")

    def of_arm(self, arm: str) -> QueueInstruments:
        """One arm's; what is turned away is counted for all arms together."""
        return QueueInstruments(candidates=self._candidates.labels(arm=arm), busy=self._busy, deadline=self._deadline)
