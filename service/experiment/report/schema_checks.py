"""Parts of the report's data: whether the split is sound, and how good the probabilities are. See `schema`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.experiment.report.schema_arms import Ends, Measured


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviationView:
    """One level of one dimension in which the arms' units are off."""

    dimension: str
    level: str
    counts: dict[str, int]
    p: float
    p_adjusted: float
    p_rest: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Recomputed:
    """Arms worked out again from raw units."""

    units: int
    mismatches: int
    """Units stored with another arm than their hash gives."""
    chi2_p: float | None
    """Of the arms that the hashes give."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """Where a sample ratio mismatch comes from, as far as the stored events tell."""

    finding: Literal["none", "assignment", "capture", "level", "unknown"]
    text: str
    deviations: tuple[DeviationView, ...]
    """The levels that deviate most, by hour, day, size of the request."""
    recomputed: Recomputed | None
    """Null where raw units are not stored."""
    answered: dict[str, float]
    """Arm → share of its requests with an answer stored."""
    fallback: dict[str, float]
    """Arm → share of its requests that another model answered."""
    models: dict[str, dict[str, int]]
    """Arm → model → units it first answered; '' for none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SrmView:
    """Whether the arms hold the units that the weights promise."""

    counts: dict[str, int]
    shares: dict[str, float]
    chi2_p: float | None
    sequential_p: float | None
    alarm_below: float
    alarm: bool
    diagnosis: Diagnosis


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationView:
    """Expected over observed clicks."""

    ratio: float
    interval: Ends
    null_band: Ends
    within_null: bool
    expected: float
    clicks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Impressions of similar probability."""

    predicted: float
    observed: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationErrorView:
    """ECE in bins of equal mass, beside what a perfectly calibrated arm would show."""

    value: float
    null_mean: float
    null_p95: float
    p: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityRow:
    """How good one arm's probabilities are, on its own impressions."""

    arm: str
    impressions: int
    """With a stored probability."""
    clicks: int
    log_loss: Measured | None
    normalized_entropy: float | None
    calibration: CalibrationView | None
    ece: CalibrationErrorView | None
    auc: Measured | None
    gauc: Measured | None
    missing: tuple[str, ...]
    """Why something is null."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A number of each shadow comparison, summed up."""

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ShadowRow:
    """Two models on the same candidates."""

    primary: str
    shadow: str
    n: int
    """Requests compared."""
    candidates: int
    probability_gap: Spread
    """Of each request's mean |Δp|."""
    logit_gap: Spread
    kendall_tau_b: float | None
    """Mean over requests in which it is defined."""
    top_k_overlap: float
    rank_biased_overlap: float
    top_1_flips: float
    """Share of requests with another best candidate."""
    calibration_gap: float | None
    """Sum of the shadow's probabilities over the primary's, less one."""
    primary_us: Spread
    shadow_us: Spread
