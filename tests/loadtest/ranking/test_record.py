from __future__ import annotations

import math

import numpy as np
import pytest

from loadtest.ranking.record import Latencies, StageRecord


def test_quantiles_are_right_to_half_a_percent_over_seven_decades() -> None:
    drawn = np.maximum(np.exp(np.random.default_rng(1).normal(0, 3, 20_000)), 1e-3)
    found = Latencies()
    for milliseconds in drawn:
        found.add(float(milliseconds))
    assert len(found) == 20_000
    ordered = np.sort(drawn)
    for share in (0.01, 0.5, 0.95, 0.99, 1.0):
        assert found.quantile(share) == pytest.approx(ordered[math.ceil(share * 20_000) - 1], rel=0.0051)


def test_a_quantile_is_the_least_value_that_the_share_does_not_exceed() -> None:
    found = Latencies()
    for milliseconds in [1.0] * 99 + [50.0]:
        found.add(milliseconds)
    assert found.quantile(0.99) == pytest.approx(1, rel=0.01)
    assert found.quantile(0.991) == pytest.approx(50, rel=0.01)


def test_nothing_has_no_quantile_and_no_time_is_the_least_there_is() -> None:
    found = Latencies()
    assert math.isnan(found.quantile(0.5))
    found.add(0.0)
    assert found.quantile(0.5) == pytest.approx(1e-3, rel=0.01)


def test_late_starts_say_whose_fault_they_are() -> None:
    record = StageRecord()
    record.started(waited_ms=0, own_ms=0.2)
    record.started(waited_ms=40, own_ms=0.2)
    record.started(waited_ms=0, own_ms=3)
    record.started(waited_ms=1.0, own_ms=1.0)
    assert (record.late_waiting, record.late_generator) == (1, 1)


def test_errors_are_a_share_of_everything_asked() -> None:
    record = StageRecord()
    assert record.error_ratio == 0
    for _ in range(3):
        record.latency.add(1)
    record.errors["status 503"] += 1
    assert (record.asked, record.error_ratio) == (4, 0.25)
