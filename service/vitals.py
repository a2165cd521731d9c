"""What a process says of itself four times a second: processor time, memory, what waits to be stored, a late loop.

Counted here and not by the client library's process collector, which says nothing true of several workers: these add
up over workers, and a dead worker's seconds stay. A supervisor's own seconds are not in it: it does next to nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import perf_counter, process_time

from prometheus_client import Counter, Gauge, Histogram

from service.metrics import SECONDS, Metrics

SAMPLE_S = 0.25
"""Seconds between two samples."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


class Vitals:
    """Samples one process, and its shadow's child, while it runs.

    Args:
        metrics: of the app.
        shadow: process id of the shadow's child; None while there is none.
        queued: records that wait to be written to the event store.
    """

    def __init__(self, metrics: Metrics, shadow: Callable[[], int | None], queued: Callable[[], int]) -> None:
        registry = metrics.registry
        cpu = Counter(
            "ctr_cpu_seconds_total",
            "Processor time used, user and system, by the worker itself and by its shadow's child.",
            ["process"],
            registry=registry,
        )
        memory = Gauge(
            "ctr_resident_memory_bytes",
            "Physical memory held, of all workers; pages that they share are counted for each.",
            ["process"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._cpu = {name: cpu.labels(process=name) for name in ("worker", "shadow")}
        self._memory = {name: memory.labels(process=name) for name in ("worker", "shadow")}
        self._lag = Histogram(
            "ctr_event_loop_lag_seconds",
            "How late the event loop wakes a task that slept; below 1 ms it is the timer's own coarseness.",
            buckets=SECONDS,
            registry=registry,
        )
        self._queued = Gauge(
            "ctr_events_queued",
            "Records that wait to be written to the event store; of a big answer each KiB counts as one.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._shadow_pid = shadow
        self._queued_now = queued
        self._own_s = 0.0
        self._shadow: tuple[int, float] = (0, 0.0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sampled while inside, and once more at the end."""
        task = asyncio.create_task(self._sample_on())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self.sample()

    async def _sample_on(self) -> None:
        while True:
            self.sample()
            due = perf_counter() + SAMPLE_S
            await asyncio.sleep(SAMPLE_S)
            self._lag.observe(max(0.0, perf_counter() - due))

    def sample(self) -> None:
        """Count what was used since the last sample; about 50 µs."""
        own_s = process_time()
        self._cpu["worker"].inc(own_s - self._own_s)
        self._own_s = own_s
        self._memory["worker"].set(_resident_bytes("self"))
        self._queued.set(self._queued_now())
        self._sample_shadow(self._shadow_pid())

    def _sample_shadow(self, pid: int | None) -> None:
        """The child's seconds since it was last seen; what one that died used after that is not known."""
        if pid is None:
            self._memory["shadow"].set(0)
            return
        with suppress(OSError):  # it died just now
            used_s = _cpu_seconds(pid)
            known, before_s = self._shadow
            self._cpu["shadow"].inc(max(0.0, used_s - (before_s if pid == known else 0.0)))
            self._shadow = pid, used_s
            self._memory["shadow"].set(_resident_bytes(str(pid)))


def _cpu_seconds(pid: int) -> float:
    """User and system time of another process; raises OSError when it is gone. Source: proc(5), stat."""
    fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _resident_bytes(process: str) -> int:
    """Physical memory of a process; raises OSError when it is gone. Source: proc(5), statm."""
    return int((_PROC / process / "statm").read_bytes().split()[1]) * _PAGE_BYTES
