"""What came of each stage: latencies in buckets that never grow, counts of answers, wrong answers and late starts.

A bucket is one percent wide, so a quantile is right to half a percent whether a run takes seconds or days; a list of
latencies would be exact and grow for ever. locust's own statistics round to whole milliseconds below 100, which would
show a student and its teacher alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

_PER_LOG = 100.0
_LEAST_MS = 1e-3
LATE_MS = 1.0
"""A request sent this long after it was due began late."""


class Latencies:
    """Counts of latencies."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, milliseconds: float) -> None:
        """Count one; a thousandth of a millisecond is the least."""
        self._counts[math.floor(_PER_LOG * math.log(max(milliseconds, _LEAST_MS)))] += 1

    def __len__(self) -> int:
        return self._counts.total()

    def quantile(self, share: float) -> float:
        """Milliseconds that this share of the latencies does not exceed, right to half a percent; nan without any."""
        rank, seen = math.ceil(share * len(self)), 0
        for bucket, count in sorted(self._counts.items()):
            seen += count
            if seen >= max(rank, 1):
                return math.exp((bucket + 0.5) / _PER_LOG)
        return math.nan


@dataclass(slots=True)
class StageRecord:
    """One stage as it goes.

    Latencies, errors and late starts belong to the stage in which a request was due; what was completed belongs to the
    stage in which its answer came, so that a service which falls behind has the throughput that it really had.
    """

    latency: Latencies = field(default_factory=Latencies)
    """Of right answers, from the moment due (open loop) or sent (closed loop)."""
    generator: Latencies = field(default_factory=Latencies)
    """How long after it was due, and a connection free, a request was really sent: the generator's own lateness."""
    completed: int = 0
    candidates: int = 0
    """Of completed requests."""
    late_waiting: int = 0
    """Requests that began late because every connection was waiting for an answer."""
    late_generator: int = 0
    """Requests that began late although a connection was free."""
    errors: Counter[str] = field(default_factory=Counter)
    """What was wrong → how often."""
    feedback: Counter[str] = field(default_factory=Counter)
    """What became of feedback events → how many."""

    @property
    def asked(self) -> int:
        """Predictions answered rightly, wrongly or not at all."""
        return len(self.latency) + self.errors.total()

    @property
    def error_ratio(self) -> float:
        """Share of wrong answers among all, errors of feedback included; 0 without any."""
        return self.errors.total() / self.asked if self.asked else 0.0

    def started(self, *, waited_ms: float, own_ms: float) -> None:
        """A request was sent.

        Args:
            waited_ms: how long after it was due a connection became free, 0 if one was.
            own_ms: how long it then took until it was sent.
        """
        self.generator.add(own_ms)
        self.late_waiting += waited_ms > LATE_MS
        self.late_generator += own_ms > LATE_MS


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """One stage in the end; NaN where there is nothing to tell."""

    name: str
    seconds: float
    load: float
    """Requests per second wanted, or users."""
    asked: int
    errors: int
    error_ratio: float
    requests_per_s: float
    candidates_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    late_waiting: int
    late_generator: int
    own_late_p99_ms: float
    own_cores: float
    """Share of a core that the generator took."""
    lag_p99_ms: float
    """Lag of the generator's event loop."""
    server_cores: float = math.nan
    """Cores that the service took, where its process is known."""
    cpu_s_per_million: float = math.nan
    """CPU seconds of the service per million candidates."""
    why: Mapping[str, int] = field(default_factory=dict)
    """What was wrong → how often."""
    feedback: Mapping[str, int] = field(default_factory=dict)
    bottleneck: str = ""
    """Why the figures say more about the generator than about the service; empty if they do not."""
