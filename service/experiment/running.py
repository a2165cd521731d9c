"""What a process needs to run experiments: the document in force, the log, the remote models, the instruments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from service.events.records import Answered, Exposure
from service.experiment.live import Live
from service.experiment.metrics import ExperimentMetrics
from service.remote import Remote


class Log(Protocol):
    """Where records go: at once, from any thread; False when one had to be dropped."""

    def expose(self, exposure: Exposure) -> bool:
        """Keep an exposure."""
        ...

    def answered(self, answered: Answered) -> bool:
        """Keep an answer."""
        ...


class Signer(Protocol):
    """Signs what feedback must bring back."""

    def sign(self, request_id: str, arm: str, ts_ms: int, candidates: int) -> str:
        """A token for the answer of one request."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """Experiments as one process runs them."""

    live: Live
    log: Log
    unit_key: bytes
    """Under which units are hashed before they are stored."""
    remotes: Mapping[str, Remote]
    """Models that other services answer for, by name."""
    metrics: ExperimentMetrics
    signer: Signer | None = None
    """None where feedback needs no token."""
