"""Every Prometheus instrument of the service. Labels come from closed sets: never a path, a unit or an item.

One registry per app. Children are resolved when a model is loaded and kept: a request looks none up by label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

SECONDS = (
    *(0.00025, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075),
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0),
)
"""Bucket bounds of every duration, from 0.25 ms: the budget of a request is a few milliseconds."""
PROBABILITIES = (
    *(0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1),
    *(0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
"""Bucket bounds of answered probabilities, finest where click-through rates lie."""
STAGES = ("decode", "encode", "queue", "infer", "respond")
STATUS_CLASSES = ("2xx", "4xx", "5xx")
NO_ARM = "none"
"""Arm label of a request that no arm answered."""
UNMATCHED = "unmatched"
"""Route label of a request that matched no route."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTimers:
    """Where one arm's time goes, seconds; `queue` is observed only when a batch waits for a thread."""

    decode: Histogram
    encode: Histogram
    queue: Histogram
    infer: Histogram
    respond: Histogram


class ProbabilityHistogram(Collector):
    """ctr_score: N probabilities per request counted in one go; the client's own histogram takes one at a time.

    `observe` is to be called from one thread only.
    """

    def __init__(self) -> None:
        self._edges = np.array(PROBABILITIES)
        self._counts: dict[str, npt.NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}

    def add_model(self, model: str) -> None:
        """Start counting for `name@version`."""
        self._counts.setdefault(model, np.zeros(len(PROBABILITIES), np.int64))
        self._sums.setdefault(model, 0.0)

    def observe(self, model: str, probabilities_N: npt.NDArray[np.float32]) -> None:
        """Count probabilities [N], each in [0, 1]."""
        buckets_N = np.searchsorted(self._edges, probabilities_N, side="left")
        self._counts[model] += np.bincount(buckets_N, minlength=len(PROBABILITIES))
        self._sums[model] += float(probabilities_N.sum(dtype=np.float64))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family as Prometheus scrapes it, buckets cumulative."""
        family = HistogramMetricFamily("ctr_score", "Answered click probabilities.", labels=["model"])
        for model, counts in self._counts.items():
            cumulative = np.cumsum(counts).tolist()
            buckets = [(str(edge), float(count)) for edge, count in zip(PROBABILITIES, cumulative, strict=True)]
            family.add_metric([model], [*buckets, ("+Inf", float(cumulative[-1]))], self._sums[model])
        yield family


class Metrics:
    """The instruments of one app, in a registry of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.request_duration = _durations(
            registry,
            "ctr_request_duration_seconds",
            "From the first byte of a request's head to the end of its answer.",
            ["route", "arm", "status_class"],
        )
        self.stage_duration = _durations(
            registry,
            "ctr_stage_duration_seconds",
            "One stage of an answered prediction: decode, encode, queue, infer, respond.",
            ["stage", "arm"],
        )
        self.inflight = Gauge("ctr_inflight", "Requests received and not yet answered.", registry=registry)
        self.unknown_values = Counter(
            "ctr_oov_total", "Values outside their field's vocabulary, scored as id 1.", ["field"], registry=registry
        )
        self.context_cache = Counter(
            "ctr_context_cache_total",
            "Contexts asked of the cache of encoded contexts, by whether it had them: hit, miss.",
            ["arm", "result"],
            registry=registry,
        )
        self.probabilities = ProbabilityHistogram()
        registry.register(self.probabilities)
        ProcessCollector(registry=registry)
        self._add_models(registry)
        self._request_timers: dict[tuple[str, str, str], Histogram] = {}

    def _add_models(self, registry: CollectorRegistry) -> None:
        """The instruments that tell models apart."""
        self.candidates = Counter("ctr_candidates_total", "Candidates scored.", ["model"], registry=registry)
        self.flops = Counter(
            "ctr_model_flops_total",
            "Multiplications the graph executed for answered predictions, as the bundle counts them.",
            ["model"],
            registry=registry,
        )
        self.flops_per_candidate = Gauge(
            "ctr_model_flops_per_candidate",
            "Multiplications per candidate: what the graph executes, what the model's equations need.",
            ["model", "kind"],
            registry=registry,
        )
        self.model_info = Gauge(
            "ctr_model_info", "1 for every model being served.", ["model", "version", "sha"], registry=registry
        )
        self.scorer_info = Gauge(
            "ctr_scorer_info", "1 for the scorer that answers for a model.", ["model", "scorer"], registry=registry
        )
        self.native_scorer = Counter(
            "ctr_native_scorer_total",
            "Models loaded, by what became of the native scorer: chosen, not_wanted, no_weights, not_built, refused.",
            ["result"],
            registry=registry,
        )
        self.model_loads = Counter(
            "ctr_model_loads_total", "Bundles tried, by result and reason.", ["result", "reason"], registry=registry
        )
        self.not_finite = Counter(
            "ctr_not_finite_total", "Answers refused because a logit was not finite.", ["model"], registry=registry
        )

    def stage_timers(self, arm: str) -> StageTimers:
        """The stage histograms of one arm."""
        return StageTimers(**{stage: self.stage_duration.labels(stage=stage, arm=arm) for stage in STAGES})

    def unknown_counters(self, fields: Sequence[str]) -> tuple[Counter, ...]:
        """One counter of unknown values per field, in the order given."""
        return tuple(self.unknown_values.labels(field=field) for field in fields)

    def prepare_request_timers(self, route: str, arm: str) -> None:
        """Resolve a hot route's timers at start, one per status class."""
        for status_class in STATUS_CLASSES:
            self.request_timer(route, arm, status_class)

    def request_timer(self, route: str, arm: str, status_class: str) -> Histogram:
        """The timer of a route template, an arm and a status class; resolved at its first use, then kept."""
        key = (route, arm, status_class)
        timer = self._request_timers.get(key)
        if timer is None:
            timer = self._request_timers[key] = self.request_duration.labels(
                route=route, arm=arm, status_class=status_class
            )
        return timer


def _durations(registry: CollectorRegistry, name: str, meaning: str, labels: list[str]) -> Histogram:
    return Histogram(name, meaning, labels, buckets=SECONDS, registry=registry)
