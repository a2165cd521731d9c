"""Parts of the report's data: the arms, and each treatment against the control. See `schema`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ends = tuple[float, float]
"""An interval."""
Decided = Literal["ship", "keep", "stop_harm", "inconclusive", "invalid"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One number of one arm, or of one arm against another."""

    value: float
    n: int
    """Units, requests or impressions, as `method` says."""
    method: str
    interval: Ends | None = None
    """Two-sided, fixed horizon, of confidence 1 - alpha."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmRow:
    """One arm's row of the table: click users, CTR, FLOPs, latency."""

    arm: str
    role: Literal["control", "treatment"]
    models: tuple[str, ...]
    """`name@version` of what answered for it, fallbacks left out."""
    share: float
    """Of the included units, as promised."""
    units: int
    requests: int
    impressions: int
    clicks: int
    click_users: int
    """Units with a click."""
    ctr: Measured | None
    flops_effective: float | None
    """Multiplications per candidate that the equations of what answered need."""
    flops_executed: float | None
    """Multiplications per candidate that the scorer of what answered runs."""
    latency_p50_us: Measured | None
    latency_p99_us: Measured | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImprovementRow:
    """A treatment against the control as the paper's Table 4 has it: positive is better in every column."""

    treatment: str
    click_users: Measured | None
    """Of the share of units with a click, so that arms of unequal weights compare."""
    ctr: Measured | None
    flops: Measured | None
    latency_p50: Measured | None
    latency_p99: Measured | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectView:
    """A treatment against the control in one metric."""

    metric: Literal["ctr"]
    scale: Literal["lift", "difference"]
    estimate: float
    se: float
    n: int
    """Units of both arms."""
    method: str
    fixed: Ends
    """Interval for looking once, at the planned number of units."""
    anytime: Ends
    """Interval that holds at every look."""
    p: float
    """Two-sided, looked at once."""
    p_anytime: float
    """Anytime-valid, smallest of all looks."""
    p_holm: float | None
    """`p` after Holm over the treatments; null where it decides nothing."""
    p_anytime_holm: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AdjustedView:
    """The effect once the units' pasts are accounted for."""

    lift: EffectView
    theta: float
    variance_reduction: float
    covered: float
    """Share of units with a history."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardrailView:
    """What must not get worse by its margin or more. Harm is positive where the treatment is worse."""

    metric: Literal["latency_p99", "error_rate", "fallback_rate", "log_loss", "calibration"]
    scale: Literal["lift", "difference"]
    treatment_value: float | None
    control_value: float | None
    margin: float
    outcome: Literal["pass", "fail", "undecided", "unmeasured"]
    harm: float | None
    fixed: Ends | None
    anytime: Ends | None
    deteriorated: bool
    """Worse than the control, at every look."""
    breached: bool
    """Worse than the margin, at every look."""
    n: int
    method: str
    missing: str | None
    """Why it is unmeasured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What a report would have shown at one moment."""

    ts_ms: int
    n: int
    """Units of both arms exposed by then."""
    srm_p: float
    """Sequential, of all arms."""
    estimate: float | None = None
    """Lift of CTR; null while there is nothing to go by."""
    fixed: Ends | None = None
    anytime: Ends | None = None
    p_anytime: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One treatment against the control."""

    treatment: str
    verdict: Decided
    primary: EffectView | None
    """Lift of CTR, on which the verdict rests."""
    difference: EffectView | None
    cuped: AdjustedView | None
    """Adjusted by clicks before the phase; null without history."""
    cupac: AdjustedView | None
    """Adjusted by probabilities before the phase; null without history."""
    guardrails: tuple[GuardrailView, ...]
    over_time: tuple[Look, ...]
    missing: str | None
    """Why there is no primary effect."""
