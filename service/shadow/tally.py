"""Sums of what a shadow found, counted in the child, sent now and then, and added to the worker's metrics.

A sum that was not sent is not lost: it is sent with the next one. What was sent is received exactly once or, if the
child dies, not at all; then the worker counts those requests as dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import orjson

from service.bulk_histogram import BucketCounts
from service.metrics import SECONDS
from service.shadow.compare import Comparison

_GAPS = (
    *(1e-6, 1e-5, 1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.02),
    *(0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0),
)
_LOGIT_GAPS = (1e-5, 1e-4, 0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
_TAUS = (-0.5, *_SHARES)  # with a bound below 0, Prometheus has no sum of it: a sum that falls is no counter


class Family(NamedTuple):
    """A histogram of comparisons."""

    meaning: str
    bounds: tuple[float, ...]


FAMILIES: Mapping[str, Family] = {
    "abs_diff": Family("Difference of a candidate's two probabilities, absolute.", _GAPS),
    "logit_diff": Family("Difference of a candidate's two logits, absolute.", _LOGIT_GAPS),
    "kendall_tau": Family("Kendall's tau-b of a request's two orders, where there is one.", _TAUS),
    "top_k_overlap": Family("Share of a request's first 10 candidates that both models have there.", _SHARES),
    "rank_biased_overlap": Family("Rank-biased overlap (p = 0.9) of a request's two orders.", _SHARES),
}
"""Every one is the metric ctr_shadow_NAME."""


class Failure(Enum):
    """Why a request could not be compared; the label of ctr_shadow_errors_total."""

    NOT_LOADED = "not_loaded"
    """The other model's bundle is refused; the log has the reason."""
    REFUSED = "refused"
    """The other model does not take the request."""
    FORM = "form"
    """The request has ids of vocabularies that the two models do not share."""
    UNREACHABLE = "unreachable"
    """The other model's URL gave no answer."""
    TIMEOUT = "timeout"
    """It gave none in time."""
    MALFORMED = "malformed"
    """It gave another than as many probabilities."""
    INTERNAL = "internal"
    """Something that should not happen; the log has it."""


class Tally:
    """What was found since the last report."""

    def __init__(self) -> None:
        self.ok = 0
        self.flips = 0
        self.errors: dict[str, int] = {}
        self.histograms = {name: BucketCounts(family.bounds) for name, family in FAMILIES.items()}
        self.latencies: dict[str, BucketCounts] = {}
        """Name of a model → its seconds."""

    @property
    def requests(self) -> int:
        """How many requests it is about."""
        return self.ok + sum(self.errors.values())

    def count(self, found: Comparison, seconds: Mapping[str, float]) -> None:
        """Count a comparison and the seconds that each model took, by the model's name."""
        self.ok += 1
        self.flips += found.top_1_flip
        self.histograms["abs_diff"].count(found.probability_gap_N.astype(np.float32))
        self.histograms["logit_diff"].count(found.logit_gap_N.astype(np.float32))
        if found.kendall_tau_b is not None:
            self.histograms["kendall_tau"].count_one(found.kendall_tau_b)
        self.histograms["top_k_overlap"].count_one(found.top_k_overlap)
        self.histograms["rank_biased_overlap"].count_one(found.rank_biased_overlap)
        for model, took_s in seconds.items():
            self.latencies.setdefault(model, BucketCounts(SECONDS)).count_one(took_s)

    def fail(self, failure: Failure) -> None:
        """Count a request that could not be compared."""
        self.errors[failure.value] = self.errors.get(failure.value, 0) + 1

    def to_bytes(self) -> bytes:
        """As a message; see `read_report`."""
        report = {
            "ok": self.ok,
            "flips": self.flips,
            "errors": self.errors,
            "histograms": {name: _sums(counts) for name, counts in self.histograms.items()},
            "latencies": {model: _sums(counts) for model, counts in self.latencies.items()},
        }
        return orjson.dumps(report)


class Report(NamedTuple):
    """A tally as the worker receives it."""

    ok: int
    flips: int
    errors: dict[str, int]
    histograms: dict[str, tuple[list[int], float]]
    """Name → counts up to each bound, and their sum."""
    latencies: dict[str, tuple[list[int], float]]
    """The same by model."""

    @property
    def requests(self) -> int:
        """How many requests it is about."""
        return self.ok + sum(self.errors.values())


def read_report(message: bytes) -> Report:
    """The report in a message of `Tally.to_bytes`."""
    return Report(**orjson.loads(message))


def _sums(counts: BucketCounts) -> tuple[Any, float]:
    return counts.below_B.tolist(), counts.total
