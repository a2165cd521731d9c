"""Every Prometheus instrument of the service. Labels come from closed sets: never a path, a unit or an item.

One registry per app. Children are resolved when a model is loaded and kept: a request looks none up by label.

With several workers a scrape of any of them is of all: see service.multiprocess.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from service.loops import count_up_to
from service.multiprocess import AllWorkers, shared_directory

disable_created_metrics()  # type: ignore[no-untyped-call] # of every histogram one more series that nobody asks for

PUBLISH_S = 0.25
"""Seconds after which a worker's probabilities are seen by another's scrape, at most."""

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

# The largest float32 that is not above each bound: comparing in float32 then decides as in float64.
_ROUNDED = np.array(PROBABILITIES, np.float32)
_BOUNDS = np.where(np.array(PROBABILITIES) < _ROUNDED, np.nextafter(_ROUNDED, np.float32(0)), _ROUNDED)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTimers:
    """Where one arm's time goes, seconds; `queue` is observed only when a batch waits for a thread."""

    decode: Histogram
    encode: Histogram
    queue: Histogram
    infer: Histogram
    respond: Histogram


@dataclass(kw_only=True, slots=True)
class _Counted:
    """What one model answered: totals up to each bound, and how much of them the child has been told."""

    child: Histogram
    below_B: npt.NDArray[np.int64]
    told_B: npt.NDArray[np.int64]
    total: float = 0.0
    told_total: float = 0.0


class ProbabilityHistogram(Collector):
    """ctr_score: N probabilities counted in one go; the client's own histogram takes one at a time, behind locks.

    Counting is a loop alone; `publish` moves the counts into the client's histogram, whatever keeps its values.
    `observe` is to be called from one thread only, `publish` and `collect` from any.
    """

    def __init__(self) -> None:
        self._histogram = Histogram(
            "ctr_score", "Answered click probabilities.", ["model"], buckets=PROBABILITIES, registry=None
        )
        self._counted: dict[str, _Counted] = {}
        self._lock = Lock()

    def add_model(self, model: str) -> None:
        """Start counting for `name@version`."""
        if model not in self._counted:
            below_B, told_B = np.zeros((2, len(PROBABILITIES)), np.int64)
            child = self._histogram.labels(model=model)
            self._counted[model] = _Counted(child=child, below_B=below_B, told_B=told_B)

    def observe(self, model: str, probabilities_N: npt.NDArray[np.float32]) -> None:
        """Count probabilities [N], each in [0, 1]."""
        counted = self._counted[model]
        counted.total += count_up_to(probabilities_N, _BOUNDS, counted.below_B)

    def publish(self) -> None:
        """Tell the client's histogram what it has not been told yet."""
        with self._lock:
            for counted in list(self._counted.values()):
                below_B, total = counted.below_B.copy(), counted.total
                fresh_B = np.diff(below_B - counted.told_B, prepend=0).tolist()
                for bucket, count in zip(counted.child._buckets, fresh_B, strict=False):  # noqa: SLF001 - no bulk form
                    if count:
                        bucket.inc(count)
                counted.child._sum.inc(total - counted.told_total)  # noqa: SLF001 - as above
                counted.told_B, counted.told_total = below_B, total

    def collect(self) -> Iterable[Metric]:
        """The family as Prometheus scrapes it, buckets cumulative."""
        self.publish()
        return self._histogram.collect()


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
            "One stage of an answered prediction: decode, encode, queue, infer, respond.",
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
        self.probabilities = ProbabilityHistogram()
        registry.register(self.probabilities)
        self._add_process(registry)
        self._add_models(registry)
        self.feedback = Counter(
            "ctr_feedback_total", "Feedback events, by what became of them.", ["type", "result"], registry=registry
        )
        self._request_timers: dict[tuple[str, str, str], Histogram] = {}

    def scrape(self) -> bytes:
        """Prometheus' text format; of all workers where there are several."""
        self.probabilities.publish()
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
            self.probabilities.publish()

    async def _publish_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_S)
            self.probabilities.publish()

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
            "1 for every model being served.",
            ["model", "version", "sha"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.scorer_info = Gauge(
            "ctr_scorer_info",
            "1 for the scorer that answers for a model.",
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
