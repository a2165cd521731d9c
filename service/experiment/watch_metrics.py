"""What `python -m service watch` sees, for Prometheus: calibration, normalized entropy, AUC, SRM, lift and verdict.

They need feedback joined to answers, SciPy, and a whole phase in memory: the watch has all of that, a process that
answers predictions has not. One scrape shows one look whole; what is not known from the data has no series at all.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from math import isfinite
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.experiment.report.schema import Report
from service.experiment.report.schema_arms import ArmRow
from service.experiment.report.schema_checks import QualityRow

VERDICTS = ("ship", "keep", "stop_harm", "inconclusive", "invalid")
SEVERAL = "several"
"""Model label of an arm that more than one version answered."""

_QUALITY = ("experiment", "arm", "model")
FAMILIES = {
    "ctr_calibration_ratio": ("Sum of probabilities over clicks, of impressions with both; 1 is right.", _QUALITY),
    "ctr_calibration_bound_ratio": ("Interval of the calibration: end low, end high.", (*_QUALITY, "end")),
    "ctr_normalized_entropy": ("Log loss over the entropy of the arm's own CTR; below 1 is better than it.", _QUALITY),
    "ctr_auc": ("Area under the ROC curve over impressions.", _QUALITY),
    "ctr_srm_p_value": ("Sequential p-value of the arms' sizes against their weights.", ("experiment",)),
    "ctr_experiment_units": ("Units exposed.", ("experiment", "arm")),
    "ctr_click_through_ratio": ("Clicks over impressions.", ("experiment", "arm")),
    "ctr_lift_ratio": (
        "Relative change of CTR against the control: the estimate, and the ends that hold at every look.",
        ("experiment", "arm", "end"),
    ),
    "ctr_experiment_verdict": (
        "1 for the verdict on a running experiment, 0 for the others.",
        ("experiment", "verdict"),
    ),
}
"""Metric → its meaning and labels."""


class _Value(NamedTuple):
    """One sample of one of FAMILIES."""

    metric: str
    labels: tuple[str, ...]
    value: float


class WatchMetrics(Collector):
    """An observer of the watch, scraped from another thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seen: dict[str, tuple[_Value, ...]] = {}
        self._looks = Counter("ctr_watch_looks_total", "Looks at all running experiments.", registry=self.registry)
        self._stops = Counter("ctr_watch_stops_total", "Experiments stopped because of harm.", registry=self.registry)
        self._failures = Counter(
            "ctr_watch_failures_total", "Looks that the event store did not answer.", registry=self.registry
        )
        self._took = Gauge("ctr_watch_look_seconds", "What the last look took.", registry=self.registry)
        self._last = Gauge("ctr_watch_last_look_timestamp_seconds", "When the last look ended.", registry=self.registry)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def saw(self, report: Report) -> None:
        """Keep what a report says, in place of what the one before said."""
        name = report.provenance.experiment
        self._seen[name] = tuple(one for one in _values(name, report) if isfinite(one.value))

    def stopped(self) -> None:
        """Count an experiment that was stopped."""
        self._stops.inc()

    def failed(self) -> None:
        """Count a look that failed."""
        self._failures.inc()

    def looked(self, running: Collection[str], seconds: float) -> None:
        """Forget experiments that run no more."""
        for name in self._seen.keys() - set(running):
            del self._seen[name]
        self._looks.inc()
        self._took.set(seconds)
        self._last.set(time.time())

    def collect(self) -> Iterable[Metric]:
        """The last look as Prometheus scrapes it."""
        families = {
            name: GaugeMetricFamily(name, meaning, labels=labels) for name, (meaning, labels) in FAMILIES.items()
        }
        for seen in list(self._seen.values()):
            for metric, labels, value in seen:
                families[metric].add_metric(labels, value)
        return families.values()


def serve_metrics(host: str, port: int) -> tuple[WatchMetrics, str]:
    """An observer and the URL it is scraped at; raises OSError when the port cannot be had."""
    metrics = WatchMetrics()
    server, _thread = start_http_server(port, host, metrics.registry)
    return metrics, f"http://{host}:{server.server_port}/metrics"


def _values(name: str, report: Report) -> Iterator[_Value]:
    for row in report.arms:
        yield _Value("ctr_experiment_units", (name, row.arm), row.units)
        if row.ctr is not None:
            yield _Value("ctr_click_through_ratio", (name, row.arm), row.ctr.value)
    for arm, quality in zip(report.arms, report.quality, strict=True):
        yield from _quality(name, arm, quality)
    for comparison in report.comparisons:
        lift = comparison.primary
        if lift is not None:
            ends = {"low": lift.anytime[0], "estimate": lift.estimate, "high": lift.anytime[1]}
            for end, value in ends.items():
                yield _Value("ctr_lift_ratio", (name, comparison.treatment, end), value)
    if report.srm.sequential_p is not None:
        yield _Value("ctr_srm_p_value", (name,), report.srm.sequential_p)
    for verdict in VERDICTS:
        yield _Value("ctr_experiment_verdict", (name, verdict), float(report.verdict.verdict == verdict))


def _quality(name: str, arm: ArmRow, row: QualityRow) -> Iterator[_Value]:
    """How good an arm's probabilities are; nothing without feedback."""
    labels = (name, row.arm, arm.models[0] if len(arm.models) == 1 else SEVERAL)
    if row.calibration is not None:
        yield _Value("ctr_calibration_ratio", labels, row.calibration.ratio)
        for end, value in zip(("low", "high"), row.calibration.interval, strict=True):
            yield _Value("ctr_calibration_bound_ratio", (*labels, end), value)
    if row.normalized_entropy is not None:
        yield _Value("ctr_normalized_entropy", labels, row.normalized_entropy)
    if row.auc is not None:
        yield _Value("ctr_auc", labels, row.auc.value)
