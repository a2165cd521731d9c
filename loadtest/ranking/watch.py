"""The generator watches itself: what it takes of its core, and how late its event loop comes back to it.

A generator that is out of CPU sends late and reads answers late, and all of that looks like latency of the service.
locust warns when its process is over 90 % at some instant; here it is judged stage by stage, together with the lag of
its loop, and a stage in which it was the bottleneck is no result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtest.ranking.record import Latencies

PERIOD_S = 0.01
"""Between two looks."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the generator may take before its figures mean nothing."""

    cores: float = 0.9
    """Mean share of a core over a stage; it is one process on one thread."""
    lag_ms: float = 10.0
    """99th percentile of its loop's lag over a stage."""


@dataclass(slots=True)
class Usage:
    """One stage of the watch."""

    seconds: float = 0.0
    own_s: float = 0.0
    server_s: float = math.nan
    lag: Latencies = field(default_factory=Latencies)

    @property
    def own_cores(self) -> float:
        """Share of a core that the generator took."""
        return self.own_s / self.seconds if self.seconds else math.nan

    @property
    def server_cores(self) -> float:
        """Cores that the service took; nan where its process is not known."""
        return self.server_s / self.seconds if self.seconds else math.nan


class Watch:
    """Adds up usage by stage; looks come from outside, so that no clock is in here.

    Args:
        stages: how many there are.
        own_cpu_s: CPU seconds of this process so far.
        server_cpu_s: CPU seconds of the service so far, nan where nobody knows.
    """

    def __init__(self, stages: int, own_cpu_s: Callable[[], float], server_cpu_s: Callable[[], float]) -> None:
        self.usages = [Usage() for _ in range(stages)]
        self._own, self._server = own_cpu_s, server_cpu_s
        self._last: tuple[float, float, float] | None = None

    def look(self, stage: int, now_s: float, lag_ms: float) -> None:
        """What was used since the last look goes to `stage`; beyond the last stage it goes nowhere."""
        own, server = self._own(), self._server()
        if self._last is not None and stage < len(self.usages):
            usage, (then, own_then, server_then) = self.usages[stage], self._last
            usage.server_s = (0.0 if usage.seconds == 0 else usage.server_s) + server - server_then
            usage.seconds += now_s - then
            usage.own_s += own - own_then
            usage.lag.add(lag_ms)
        self._last = (now_s, own, server)


def bottleneck(usage: Usage, limits: Limits) -> str:
    """Why the generator, and not the service, decided a stage's figures; empty if it did not."""
    found = []
    took = f"the generator took {usage.own_cores:.2f} of its core"
    if usage.own_cores > limits.cores:
        found.append(f"{took}, expected at most {limits.cores:g}")
    lag_ms = usage.lag.quantile(0.99)
    if lag_ms > limits.lag_ms:
        others = "" if found else f"; {took}, others have the rest"
        found.append(f"its event loop lagged {lag_ms:.1f} ms (p99), expected at most {limits.lag_ms:g}{others}")
    return "; ".join(found)
