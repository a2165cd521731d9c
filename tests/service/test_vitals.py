from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from service.metrics import Metrics
from service.vitals import Vitals


def vitals_of(metrics: Metrics, shadow: int | None = None, queued: int = 0) -> Vitals:
    return Vitals(metrics, lambda: shadow, lambda: queued)


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None
    return found


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_processor_time_is_all_that_the_process_used_and_is_counted_once() -> None:
    metrics = Metrics()
    vitals = vitals_of(metrics)
    for _ in range(3):
        before = time.process_time()
        vitals.sample()
        after = time.process_time()
        assert before <= value(metrics, "ctr_cpu_seconds_total", process="worker") <= after


def test_the_child_of_the_shadow_is_counted_apart() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    metrics = Metrics()
    vitals = vitals_of(metrics, busy.pid)

    def used() -> float:
        vitals.sample()
        return value(metrics, "ctr_cpu_seconds_total", process="shadow")

    try:
        until(lambda: used() >= 0.1)
        assert value(metrics, "ctr_resident_memory_bytes", process="shadow") > 1e6
    finally:
        busy.kill()
        busy.wait()
    last = used()
    assert used() == last


def test_a_child_that_takes_the_place_of_another_is_counted_from_its_own_beginning() -> None:
    metrics = Metrics()
    pids = [os.getpid(), os.getppid()]
    vitals = Vitals(metrics, lambda: pids[0], lambda: 0)
    vitals.sample()
    own = value(metrics, "ctr_cpu_seconds_total", process="shadow")
    pids.pop(0)
    vitals.sample()
    assert value(metrics, "ctr_cpu_seconds_total", process="shadow") >= own


def test_memory_is_that_of_the_process_and_what_waits_is_asked_for() -> None:
    metrics = Metrics()
    vitals_of(metrics, queued=17).sample()
    assert 10e6 < value(metrics, "ctr_resident_memory_bytes", process="worker") < 100e9
    assert value(metrics, "ctr_resident_memory_bytes", process="shadow") == 0
    assert value(metrics, "ctr_events_queued") == 17


def test_a_loop_that_is_held_up_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.vitals.SAMPLE_S", 0.01)
    metrics = Metrics()

    async def hold_up() -> None:
        async with vitals_of(metrics).running():
            await asyncio.sleep(0.005)
            time.sleep(0.3)  # noqa: ASYNC251 - what is looked for
            await asyncio.sleep(0.05)

    asyncio.run(hold_up())
    assert value(metrics, "ctr_event_loop_lag_seconds_sum") > 0.2
    late = value(metrics, "ctr_event_loop_lag_seconds_count")
    assert late - value(metrics, "ctr_event_loop_lag_seconds_bucket", le="0.1") >= 1
