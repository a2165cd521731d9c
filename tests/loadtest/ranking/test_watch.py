from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from loadtest.ranking.watch import Limits, Usage, Watch, bottleneck


def watched(own: Iterator[float], server: Iterator[float], looks: list[tuple[int, float, float]]) -> list[Usage]:
    watch = Watch(2, own.__next__, server.__next__)
    for stage, now_s, lag_ms in looks:
        watch.look(stage, now_s, lag_ms)
    return watch.usages


def test_cpu_time_between_two_looks_goes_to_the_stage_they_were_in() -> None:
    looks = [(0, 100.0, 0.0), (0, 101.0, 1.0), (1, 103.0, 2.0), (1, 104.0, 4.0), (2, 110.0, 999.0)]
    first, second = watched(iter([5, 5.25, 7, 7.5, 99]), iter([50, 51, 52, 53, 99]), looks)
    assert (first.own_cores, first.server_cores) == (0.25, 1.0)
    assert (second.own_cores, second.server_cores) == (0.75, pytest.approx(2 / 3))
    assert second.lag.quantile(1.0) == pytest.approx(4, rel=0.01)


def test_a_service_elsewhere_leaves_its_cores_unknown() -> None:
    first, untouched = watched(iter([1, 2]), iter([math.nan] * 2), [(0, 0.0, 0.0), (0, 4.0, 0.0)])
    assert first.own_cores == 0.25
    assert math.isnan(first.server_cores)
    assert math.isnan(untouched.own_cores)


@pytest.mark.parametrize(("own_s", "expected"), [(9.0, ""), (9.01, "the generator took 0.90 of its core, expected")])
def test_a_generator_that_takes_its_core_says_so(own_s: float, expected: str) -> None:
    found = bottleneck(Usage(seconds=10, own_s=own_s), Limits(cores=0.9))
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


def test_a_generator_whose_loop_lags_says_so_and_who_has_its_core() -> None:
    usage = Usage(seconds=10, own_s=1)
    for _ in range(98):
        usage.lag.add(0.1)
    for _ in range(2):
        usage.lag.add(30)
    assert "lagged 30" in bottleneck(usage, Limits(lag_ms=10))
    assert "took 0.10 of its core, others have the rest" in bottleneck(usage, Limits(lag_ms=10))
    assert bottleneck(usage, Limits(lag_ms=31)) == ""


def test_a_stage_that_nobody_looked_at_is_not_blamed() -> None:
    assert bottleneck(Usage(), Limits()) == ""


def test_a_process_that_does_nothing_but_work_is_found_out() -> None:
    """Of the CPU time it gets, whoever else has the core: the clock here is the process's own."""
    watch = Watch(1, time.process_time, lambda: math.nan)
    started = time.process_time()
    watch.look(0, started, 0.0)
    while time.process_time() - started < 0.05:
        pass
    watch.look(0, time.process_time(), 0.0)
    assert "of its core, expected at most 0.9" in bottleneck(watch.usages[0], Limits())
