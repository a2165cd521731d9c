"""Every Prometheus instrument of the service. Labels come from closed sets: never a path, a unit or an item.

One registry per app. Children are resolved when a model is loaded and kept: a request looks none up by label.

With several workers a scrape of any of them is of all: see service.multiprocess.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from service.bulk_histogram import BucketCounts, BulkHistogram, DeferredTimer
from service.multiprocess import AllWorkers, shared_directory
from service.queues import Queues

disable_created_metrics()  # type: ignore[no-untyped-call] # of every histogram one more series that nobody asks for

PUBLISH_S = 0.25
"""Seconds after which what a worker counts in bulk is seen by another's scrape, at most."""

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
RECEIVE = "receive"
"""The stage before all of them: until the body is there whole, which is the client's time and the network's."""
LOAD_REFUSALS = ("read", "graph", "golden", "scorer", "example")
"""Reasons for which a bundle is refused: the step that found fault with it."""
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


class ProbabilityHistogram(BulkHistogram):
    """ctr_score: the answered probabilities of every model."""

    def __init__(self) -> None:
        super().__init__("ctr_score", "Answered click probabilities.", PROBABILITIES, label="model")
        self._counts: dict[str, BucketCounts] = {}

    def add_model(self, model: str) -> None:
        """Start counting for `name@version`."""
        self._counts[model] = self.counts_of(model)

    def observe(self, model: str, probabilities_N: npt.NDArray[np.float32]) -> None:
        """Count probabilities [N], each in [0, 1]; always from the same thread."""
        self._counts[model].count(probabilities_N)


class Metrics:
    """The instruments of one app, in a registry of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        """The values of this process."""
        self._scraped = registry
        self.request_duration = _durations(
            registry,
            "ctr_request_duration_seconds",
            "From the first byte of a request's head to the end of its answer.",
            ["route", "arm", "status_class"],
        )
        self.stage_duration = _durations(
            registry,
            "ctr_stage_duration_seconds",
            "One stage of an answered prediction: receive, decode, encode, queue, infer, respond.",
            ["stage", "arm"],
        )
        self.unknown_values = Counter(
            "ctr_oov_total", "Values outside their field's vocabulary, scored as id 1.", ["field"], registry=registry
        )
        self.context_cache = Counter(
            "ctr_context_cache_total",
            "Contexts asked of the cache of encoded contexts, by whether it had them: hit, miss.",
            ["arm", "result"],
            registry=registry,
        )
        self._bulk: list[BulkHistogram] = []
        self.probabilities = ProbabilityHistogram()
        self.add_bulk(self.probabilities)
        self._add_process(registry)
        self._add_models(registry)
        self.feedback = Counter(
            "ctr_feedback_total", "Feedback events, by what became of them.", ["type", "result"], registry=registry
        )
        self._request_timers: dict[tuple[str, str, str], Histogram] = {}
        self._receive_timers: dict[str, DeferredTimer] = {}

    def add_bulk(self, histogram: BulkHistogram) -> None:
        """Let a histogram be scraped, and published where there are several workers."""
        self._bulk.append(histogram)
        self.registry.register(histogram)

    def scrape(self) -> bytes:
        """Prometheus' text format; of all workers where there are several."""
        self._publish()
        return generate_latest(self._scraped)

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """While inside, what this worker counts reaches the scrapes of others; nothing to do where there are none."""
        if self._scraped is self.registry:
            yield
            return
        task = asyncio.create_task(self._publish_again_and_again())
        try:
            yield
        finally:
            task.cancel()
            self._publish()

    async def _publish_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_S)
            self._publish()

    def _publish(self) -> None:
        publish: list[BulkHistogram | DeferredTimer] = [*self._bulk, *list(self._receive_timers.values())]
        for bulk in publish:
            bulk.publish()

    def _add_process(self, registry: CollectorRegistry) -> None:
        """What concerns the process, or all workers. process_* would say nothing true in a sum: left out there."""
        self.inflight = Gauge(
            "ctr_inflight",
            "Requests received and not yet answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.workers = Gauge(
            "ctr_workers", "Processes that answer on the port.", registry=registry, multiprocess_mode="livesum"
        )
        self.workers.set(1)
        self.workers_wanted = Gauge(
            "ctr_workers_wanted",
            "Processes that should answer on the port: the setting CTR_WORKERS.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.ready = Gauge(
            "ctr_ready",
            "1 once the student answers; of several workers the one that is furthest behind.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.queues = Queues(registry)
        self.effective_cpus = Gauge(
            "ctr_effective_cpus",
            "CPUs the service may use: affinity, capped by the quota of its control groups.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        directory = shared_directory()
        if directory is None:
            ProcessCollector(registry=registry)
        else:
            self._scraped = CollectorRegistry()
            self._scraped.register(AllWorkers(directory))

    def _add_models(self, registry: CollectorRegistry) -> None:
        """The instruments that tell models apart."""
        self.candidates = Counter("ctr_candidates_total", "Candidates scored.", ["model"], registry=registry)
        self.flops = Counter(
            "ctr_model_flops_total",
            "Multiplications the scorer executed for answered predictions.",
            ["model"],
            registry=registry,
        )
        self.flops_per_candidate = Gauge(
            "ctr_model_flops_per_candidate",
            "Multiplications per candidate: what the scorer executes, what the model's equations need.",
            ["model", "kind"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.model_info = Gauge(
            "ctr_model_info",
            "1 for every model being served, 0 for one that was.",
            ["model", "version", "sha"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.scorer_info = Gauge(
            "ctr_scorer_info",
            "1 for the scorer that answers for a model, 0 for one that did.",
            ["model", "scorer"],
            registry=registry,
            multiprocess_mode="livemax",
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
        self.model_loads.labels(result="ok", reason="none")
        for reason in LOAD_REFUSALS:  # a counter that begins at its first 1 was never seen to rise
            self.model_loads.labels(result="refused", reason=reason)
        self.not_finite = Counter(
            "ctr_not_finite_total", "Answers refused because a logit was not finite.", ["model"], registry=registry
        )

    def stage_timers(self, arm: str) -> StageTimers:
        """The stage histograms of one arm."""
        return StageTimers(**{stage: self.stage_duration.labels(stage=stage, arm=arm) for stage in STAGES})

    def received(self, arm: str, seconds: float) -> None:
        """Time how long the body of an answered prediction took to arrive; seen once published."""
        timer = self._receive_timers.get(arm)
        if timer is None:
            timer = DeferredTimer(self.stage_duration.labels(stage=RECEIVE, arm=arm), SECONDS)
            self._receive_timers[arm] = timer
        timer.observe(seconds)

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
