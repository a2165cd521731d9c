"""What a verdict rests on, and every reason it can give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from service.experiment.report.schema import Plan
from service.experiment.report.schema_arms import Ends, GuardrailView


class Code(Enum):
    """Every reason a verdict can give. A code once published keeps its meaning."""

    SRM = "srm"
    EXPOSURE_LOSS = "exposure_loss"
    MULTI_ARM_UNITS = "multi_arm_units"
    MIXED_MODELS = "mixed_models"
    UNKNOWN_ARM = "unknown_arm"
    AA_DIFFERENCE = "aa_difference"
    AA_NO_DIFFERENCE = "aa_no_difference"
    CTR_HARM = "ctr_harm"
    GUARDRAIL_HARM = "guardrail_harm"
    CTR_MET = "ctr_met"
    CHEAPER = "cheaper"
    GUARDRAILS_MET = "guardrails_met"
    CTR_MISSED = "ctr_missed"
    NOT_CHEAPER = "not_cheaper"
    GUARDRAIL_MISSED = "guardrail_missed"
    CTR_OPEN = "ctr_open"
    CTR_UNMEASURED = "ctr_unmeasured"
    COST_OPEN = "cost_open"
    GUARDRAIL_OPEN = "guardrail_open"
    GUARDRAIL_UNMEASURED = "guardrail_unmeasured"
    UNITS_TO_COME = "units_to_come"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ctr:
    """The lift of CTR."""

    estimate: float
    fixed: Ends
    anytime: Ends
    p: float
    """Two-sided, fixed, against the goal's threshold, after Holm over the treatments."""
    p_anytime: float
    """The same, anytime-valid."""
    p_difference: float
    """Anytime-valid, against no difference at all, after Holm: for A/A tests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What the treatment costs against the control."""

    flops_saved: float | None
    """Share of the control's multiplications per candidate; None if not known."""
    latency_fixed: Ends | None
    """Interval of the p99's relative rise; None if not known."""
    latency_anytime: Ends | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Treatment:
    """All that is known of one treatment against the control."""

    arm: str
    units: int
    """Of the treatment and the control."""
    fewest_units: int
    """Of the smaller of the two."""
    ctr: Ctr | None
    missing: str
    """Why there is no lift; empty if there is one."""
    cost: Cost
    guardrails: tuple[GuardrailView, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that is known of a phase."""

    plan: Plan
    srm_p: float | None
    """Sequential; None without units."""
    exposure_loss: float
    """Share of exposures and answers that were dropped."""
    multi_arm_share: float
    """Share of units with exposures in more than one arm."""
    mixed_models: Mapping[str, Sequence[str]]
    """Arm → versions, for arms that more than one version answered."""
    unknown_arms: Sequence[str]
    """Arms with exposures that the document does not know."""
    treatments: tuple[Treatment, ...]
