"""The shadow's Prometheus instruments; every label value is known at the start."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter

from service.bulk_histogram import BulkHistogram
from service.metrics import SECONDS, Metrics
from service.shadow.message import Refusal
from service.shadow.tally import FAMILIES, Failure, Report

LOST = "lost"
"""Dropped because the child died, or was stopped, with the request in its queue."""


class Instruments:
    """What a worker counts of its shadow: ok + error + dropped is what was offered, once the child has reported.

    Args:
        metrics: the app's.
        models: names of the models that may be compared.
    """

    def __init__(self, metrics: Metrics, models: Iterable[str]) -> None:
        registry = metrics.registry
        results = Counter(
            "ctr_shadow_total", "Requests offered to the shadow: ok, error, dropped.", ["result"], registry=registry
        )
        self.ok, self._error, self._dropped = (results.labels(result=name) for name in ("ok", "error", "dropped"))
        drops = Counter(
            "ctr_shadow_dropped_total", "Requests that the shadow dropped, by reason.", ["reason"], registry=registry
        )
        self._drops = {reason: drops.labels(reason=reason) for reason in (LOST, *(known.value for known in Refusal))}
        errors = Counter(
            "ctr_shadow_errors_total", "Requests that the shadow failed on, by reason.", ["reason"], registry=registry
        )
        self._errors = {known.value: errors.labels(reason=known.value) for known in Failure}
        self.restarts = Counter(
            "ctr_shadow_restarts_total", "Processes of the shadow that died and were replaced.", registry=registry
        )
        self._flips = Counter(
            "ctr_shadow_top_1_flips_total", "Requests whose two orders begin with another candidate.", registry=registry
        )
        self._histograms = {
            name: BulkHistogram(f"ctr_shadow_{name}", family.meaning, family.bounds)
            for name, family in FAMILIES.items()
        }
        self._latency = BulkHistogram(
            "ctr_shadow_latency_seconds",
            "Each model's time for a request that both scored.",
            SECONDS,
            label="model",
        )
        for histogram in (*self._histograms.values(), self._latency):
            metrics.add_bulk(histogram)
        self._counts = {name: histogram.counts_of() for name, histogram in self._histograms.items()}
        self._latencies = {model: self._latency.counts_of(model) for model in models}

    def drop(self, reason: str, requests: int = 1) -> None:
        """Count requests that were not scored."""
        self._dropped.inc(requests)
        self._drops[reason].inc(requests)

    def apply(self, report: Report) -> None:
        """Add what a child found; always from the same thread."""
        self.ok.inc(report.ok)
        self._flips.inc(report.flips)
        self._error.inc(sum(report.errors.values()))
        for reason, requests in report.errors.items():
            self._errors[reason].inc(requests)
        for name, sums in report.histograms.items():
            self._counts[name].add(*sums)
        for model, sums in report.latencies.items():
            self._latencies[model].add(*sums)
