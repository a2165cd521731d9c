"""The access log: requests that took too long or that the service failed, and no others.

A line for every request would cost as much as a small prediction and say less than the metrics; these are the ones
somebody looks for at night. When everything fails at once a bounded number of lines a second is written, and the next
line says how many were not.
"""

from __future__ import annotations

import logging
import math
from collections.abc import MutableMapping
from time import monotonic
from typing import Any

from service.noted import Note, notes_of

MOST_PER_S = 10
"""Lines a second and process."""

_PROBES = ("/readyz", "/ready")

logger = logging.getLogger(__name__)


class AccessLog:
    """Logs single requests.

    Args:
        slow_ms: milliseconds from which a request counts as slow; None for never.
    """

    def __init__(self, slow_ms: float | None) -> None:
        self.slow_s = math.inf if slow_ms is None else slow_ms / 1e3
        """Seconds from which `note` is to be called."""
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def note(self, scope: MutableMapping[str, Any], route: str, status: int, started: float, took: float) -> None:
        """Log a request, or leave it out and count it; its id, arm and path come from its scope.

        Args:
            scope: the request's.
            route: template of its route.
            status: of its answer, 0 where none was sent.
            started: `perf_counter` when its head had been read.
            took: seconds until it was answered.
        """
        if route.endswith(_PROBES):
            return  # asked every few seconds, and answered in full by the reason at /readyz
        second = int(monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > MOST_PER_S:
            self._left_out += 1
            return
        told: dict[str, Any] = {"status": status, "duration_ms": milliseconds(took)}
        for note in notes_of(scope):
            told.setdefault("candidates", note.candidates)
            told.setdefault("read_ms", milliseconds(note.started - started))
            told.setdefault("scored", []).append(_told(note))
        if self._left_out:
            told["left_out"], self._left_out = self._left_out, 0
        method = scope.get("method", "")
        logger.warning("%s %s answered with %d after %g ms", method, route, status, told["duration_ms"], extra=told)


def milliseconds(seconds: float) -> float:
    """To a microsecond: more digits than that are noise."""
    return round(seconds * 1e3, 3)


def _told(note: Note) -> dict[str, Any]:
    """Who was asked to score, and what came of it."""
    failed = {} if note.failed is None else {"failed": note.failed}
    stages = {f"{stage}_ms": milliseconds(seconds) for stage, seconds in note.stages().items()}
    return {"arm": note.arm, **stages, **failed}
