"""What clients do wrong, on demand and counted: events sent twice, too late, for nobody's request, or forged.

Whether one of them happens is drawn by key like a click, so that a rerun misbehaves in the same places.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from loadtest.traffic.draws import Stream, uniforms

Event = dict[str, Any]
DUPLICATE, LATE, UNKNOWN, FORGED = "duplicate", "late", "unknown", "forged"


@dataclass(frozen=True, kw_only=True)
class Misbehaviour:
    """Shares between 0 and 1.

    Raises:
        ValueError: a share is not.
    """

    duplicates: float = 0.0
    """Of events: sent a second time right away."""
    late: float = 0.0
    """Of requests: their feedback is held back until the attribution window has passed."""
    unknown: float = 0.0
    """Of requests: a click for a request that nobody made is sent too."""
    forged: float = 0.0
    """Of requests: a click with a token that was tampered with is sent too; needs answers with tokens."""

    def __post_init__(self) -> None:
        for name in ("duplicates", "late", "unknown", "forged"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: got {getattr(self, name):g}, expected a share from 0 to 1")

    def is_late(self, seed: int, visit: int) -> bool:
        """Whether all feedback of this visit is held back."""
        return self._drawn(self.late, Stream.LATE, seed, visit)

    def added(self, seed: int, visit: int, events: list[Event], sent: Counter[str]) -> list[Event]:
        """The events of a visit with what is wrong among them; `sent` is told of it.

        Duplicates follow the event they repeat, the others come last.
        """
        said: list[Event] = []
        for position, event in enumerate(events):
            said.append(event)
            if self._drawn(self.duplicates, Stream.DUPLICATE, seed, visit, position):
                said.append(event)
                sent[DUPLICATE] += 1
        if events and self._drawn(self.unknown, Stream.UNKNOWN, seed, visit):
            said.append({**events[0], "type": "click", "request_id": f"nobody-{events[0]['request_id']}"})
            sent[UNKNOWN] += 1
        if events and "token" in events[0] and self._drawn(self.forged, Stream.FORGED, seed, visit):
            said.append({**events[0], "type": "click", "token": tampered(events[0]["token"])})
            sent[FORGED] += 1
        return said

    def _drawn(self, share: float, stream: Stream, seed: int, *keys: int) -> bool:
        return share > 0 and bool(uniforms(stream, seed, *keys)[0] < share)


def tampered(token: str) -> str:
    """The token with one character in its middle changed, still of its own alphabet."""
    middle = len(token) // 2
    return f"{token[:middle]}{'A' if token[middle] != 'A' else 'B'}{token[middle + 1 :]}"
