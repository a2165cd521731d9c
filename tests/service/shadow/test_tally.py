from __future__ import annotations

import numpy as np

from service.metrics import Metrics
from service.shadow.compare import compare
from service.shadow.instruments import Instruments
from service.shadow.tally import Failure, Tally, read_report


def test_a_report_adds_what_the_tally_counted() -> None:
    tally = Tally()
    alike, opposite = np.linspace(0.1, 0.9, 20, dtype=np.float32), np.linspace(0.9, 0.1, 20, dtype=np.float32)
    one = np.array([0.5], np.float32)
    for first, second in ((alike, alike), (alike, opposite), (one, one)):
        tally.count(compare(first, second), {"student": 0.001, "teacher": 0.01})
    tally.fail(Failure.TIMEOUT)
    metrics = Metrics()
    instruments = Instruments(metrics, ("student", "teacher"))
    instruments.apply(read_report(tally.to_bytes()))
    instruments.drop("full", 2)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"ctr_shadow_{name}", labels)

    results = {result: value("total", result=result) for result in ("ok", "error", "dropped")}
    assert results == {"ok": 3, "error": 1, "dropped": 2}
    assert value("errors_total", reason="timeout") == 1
    assert value("dropped_total", reason="full") == 2
    assert value("abs_diff_count") == value("logit_diff_count") == 41
    assert value("kendall_tau_count") == 2  # one candidate has no order
    assert value("kendall_tau_bucket", le="-0.5") == 1
    assert value("top_k_overlap_bucket", le="0.0") == 1
    assert value("rank_biased_overlap_count") == 3
    assert value("top_1_flips_total") == 1
    assert value("latency_seconds_count", model="teacher") == 3
    assert value("latency_seconds_bucket", model="student", le="0.001") == 3


def test_a_tally_counts_the_requests_it_is_about() -> None:
    tally = Tally()
    assert tally.requests == 0
    tally.fail(Failure.REFUSED)
    tally.fail(Failure.REFUSED)
    assert tally.requests == read_report(tally.to_bytes()).requests == 2
