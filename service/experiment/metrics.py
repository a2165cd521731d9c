"""Instruments of experiments. Label values come from the document in force: names of experiments, arms and reasons."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.events.queued import KINDS
from service.experiment.document import Document
from service.metrics import Metrics

PATH = "/predict"
"""The one route that experiments concern."""
FALLBACKS = ("busy", "timeout", "unreachable", "refused", "malformed", "failed", "no-teacher")
"""The reasons of a fallback that are seen; others, problems of a model here, appear when they happen."""


class ExperimentMetrics:
    """What is counted of experiments; a child is looked up by its labels once and kept.

    Args:
        metrics: of the app that the experiments run in.
    """

    def __init__(self, metrics: Metrics) -> None:
        registry: CollectorRegistry = metrics.registry
        self._exposures = Counter(
            "ctr_exposures_total",
            "Requests by the arm their unit was given and why; only reason assigned is analysed.",
            ["experiment", "arm", "reason"],
            registry=registry,
        )
        self._fallbacks = Counter(
            "ctr_fallbacks_total",
            "Requests that the default model answered because the arm's own could not, by why.",
            ["arm", "reason"],
            registry=registry,
        )
        self._forced = Counter(
            "ctr_forced_arms_total",
            "Requests that asked for an arm by X-Arm: ok with the admin token, else refused.",
            ["result"],
            registry=registry,
        )
        for result in ("ok", "refused"):
            self._forced.labels(result=result)
        self.revision = Gauge(
            "ctr_experiment_revision",
            "Revision of the experiments in force; of several workers the one that is furthest behind.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        dropped = Counter(
            "ctr_events_dropped_total",
            "Records that were not stored because too many waited, by kind: exposure, answer, shadow.",
            ["kind"],
            registry=registry,
        )
        self._dropped = {kind: dropped.labels(kind=kind) for kind in KINDS}
        self._metrics = metrics
        self._children: dict[tuple[str, str, str], Counter] = {}

    def prepare(self, document: Document) -> None:
        """Let the rare counters of every arm stand at 0: one that begins at its first 1 was never seen to rise."""
        for experiment in document.experiments:
            for arm in experiment.arms:
                self._metrics.prepare_request_timers(PATH, arm.name)
                for reason in FALLBACKS if arm.answered_by != document.default else ():
                    self._fallbacks.labels(arm=arm.name, reason=reason)

    def exposed(self, experiment: str, arm: str, reason: str) -> None:
        """Count a request; `experiment` is empty for a unit outside every one."""
        key = (experiment, arm, reason)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._exposures.labels(experiment=experiment, arm=arm, reason=reason)
        child.inc()

    def fell_back(self, arm: str, reason: str) -> None:
        """Count a request that the default model answered for an arm."""
        self._fallbacks.labels(arm=arm, reason=reason).inc()

    def forced(self, result: str) -> None:
        """Count a request that asked for an arm."""
        self._forced.labels(result=result).inc()

    def dropped(self, kind: str, records: int) -> None:
        """Count records that were not stored; from any thread."""
        self._dropped[kind].inc(records)

    def waited(self, arm: str, seconds: float) -> None:
        """Time what a remote model took, network included, as its stage `infer`."""
        self._metrics.stage_duration.labels(stage="infer", arm=arm).observe(seconds)
