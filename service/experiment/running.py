"""What a process needs to run experiments: the document in force, the log, the remote models, the instruments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.events.writer import EventLog
from service.experiment.live import Live
from service.experiment.metrics import ExperimentMetrics
from service.experiment.tokens import TokenSigner
from service.remote import Remote


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """Experiments as one process runs them."""

    live: Live
    log: EventLog
    unit_key: bytes
    """Under which units are hashed before they are stored."""
    remotes: Mapping[str, Remote]
    """Models that other services answer for, by name."""
    metrics: ExperimentMetrics
    note_models: Callable[[], None]
    """Stores what a report needs to know of the models that answer now; waits for the store."""
    signer: TokenSigner | None = None
    """None where feedback needs no token."""
