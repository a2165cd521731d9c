"""What a worker tells its shadow at the start: which models there are, and within which limits it works."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from service import logs
from service.scoring import Wanted
from service.settings import Settings

LONGEST = 1 << 16
"""Most bytes of a brief."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What bounds a shadow's own work."""

    max_candidates: int
    timeout_s: float
    """Seconds to wait for another service."""
    wanted: Wanted
    """The setting CTR_SCORER."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Brief:
    """What the child is told."""

    models: dict[str, str]
    """Name → bundle directory or URL."""
    limits: Limits
    events: str
    """Where comparisons are stored, as CTR_EVENTS; empty for nowhere."""
    attribution_ms: int
    log_level: str
    log_format: logs.Format

    def to_bytes(self) -> bytes:
        """As a message."""
        return orjson.dumps(asdict(self))


def read_brief(message: bytes) -> Brief:
    """The brief in a message of `Brief.to_bytes`."""
    told: dict[str, Any] = orjson.loads(message)
    return Brief(**{**told, "limits": Limits(**told["limits"])})


def brief_of(settings: Settings) -> Brief:
    """What the settings say of it."""
    bundles = {"student": settings.student_bundle, "teacher": settings.teacher_bundle}
    models = {name: str(path) for name, path in bundles.items() if path is not None}
    return Brief(
        models={**models, **settings.arms},
        limits=Limits(
            max_candidates=settings.max_candidates,
            timeout_s=settings.teacher_timeout_ms / 1e3,
            wanted=settings.scorer,
        ),
        events=settings.events,
        attribution_ms=round(settings.attribution_hours * 3_600_000),
        log_level=settings.log_level,
        log_format=settings.log_format,
    )
