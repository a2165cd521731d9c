from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from service.bulk_histogram import BucketCounts, BulkHistogram, DeferredTimer

BOUNDS = (-0.5, 0.0, 0.1, 0.7, 1.0)
VALUES = st.lists(st.floats(-3, 3) | st.sampled_from(BOUNDS), max_size=40)


def samples_of(collector: BulkHistogram | Histogram) -> dict[tuple[str, str | None], float]:
    registry = CollectorRegistry()
    registry.register(collector)
    return {(s.name, s.labels.get("le")): s.value for family in registry.collect() for s in family.samples}


@given(VALUES)
def test_values_counted_one_by_one_are_counted_as_the_clients_own_histogram_does(values: list[float]) -> None:
    bulk, own = BulkHistogram("h", "h", BOUNDS), Histogram("h", "h", buckets=BOUNDS, registry=None)
    for value in values:
        bulk.counts_of().count_one(value)
        own.observe(value)
    assert samples_of(bulk) == pytest.approx(samples_of(own))


@given(VALUES)
def test_an_array_is_counted_as_its_numbers_are(values: list[float]) -> None:
    """Of float32, each compared with the bounds as they are in float64."""
    values_N = np.array(values, np.float32)
    bulk, own = BulkHistogram("h", "h", BOUNDS), Histogram("h", "h", buckets=BOUNDS, registry=None)
    bulk.counts_of().count(values_N)
    for value in values_N.tolist():
        own.observe(value)
    assert samples_of(bulk) == pytest.approx(samples_of(own), abs=1e-6)


def test_sums_of_another_process_are_added() -> None:
    bounds = [bound for bound in BOUNDS if bound >= 0]  # the client shows no sum where there are negative ones
    there = BucketCounts(bounds)
    there.count(np.array([0.05, 5], np.float32))
    here = BulkHistogram("h", "h", bounds, label="model")
    here.counts_of("m").count_one(0.5)
    for _ in range(2):
        here.counts_of("m").add(there.below_B.tolist(), there.total)
        found = samples_of(here)
    assert found["h_count", None] == 5
    assert found["h_bucket", "0.1"] == 2
    assert found["h_bucket", "1.0"] == 3
    assert found["h_bucket", "+Inf"] == 5
    assert found["h_sum", None] == pytest.approx(10.6, abs=1e-6)


def test_a_deferred_timer_gives_what_the_clients_own_histogram_gives() -> None:
    bounds = (0.1, 0.5, 1.0)
    own = Histogram("own", "x", buckets=bounds, registry=None)
    told = Histogram("told", "x", buckets=bounds, registry=None)
    timer = DeferredTimer(told, bounds)
    for value in (0.05, 0.1, 0.3, 0.5, 0.7, 1.0, 2.0):
        own.observe(value)
        timer.observe(value)
        timer.publish()  # in between, so that nothing is told twice
    timer.publish()
    expected = [sample.value for family in own.collect() for sample in family.samples]
    assert [sample.value for family in told.collect() for sample in family.samples] == pytest.approx(expected)
