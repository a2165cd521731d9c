"""One treatment judged: each criterion is met, missed or open, and says so in a sentence.

Criteria are the lift of CTR against the goal's threshold, the cost where the goal is non-inferiority, and every
guardrail. Which intervals count is the caller's: anytime-valid ones before the planned units, fixed ones after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from math import ceil, isfinite

from service.experiment.evidence import Code, Treatment
from service.experiment.report.schema import Plan, Reason
from service.experiment.report.schema_arms import Ends, GuardrailView

ENOUGH = 100
"""Units in each arm before a look counts: intervals that hold at every look are asymptotic."""

NAMES = {
    "latency_p99": "p99 latency",
    "error_rate": "error rate",
    "fallback_rate": "fallback rate",
    "log_loss": "normalized log loss",
    "calibration": "calibration error",
}


class State(Enum):
    """Where a criterion stands."""

    MET = "met"
    MISSED = "missed"
    OPEN = "open"


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """One condition of shipping."""

    state: State
    reason: Reason
    more_units: int | None = None
    """About so many more units settle it if the effect stays as it is; None if it is settled, or nobody knows."""


def harms(plan: Plan, treatment: Treatment) -> Iterator[Reason]:
    """What is worse than was accepted, at every look."""
    if treatment.fewest_units < ENOUGH:
        return
    accepted = _accepted(plan)
    if treatment.ctr is not None and treatment.ctr.anytime[1] < -accepted:
        text = f"CTR changes by {percent(treatment.ctr.anytime)}, at every look: {_than(accepted)}."
        yield Reason(code=Code.CTR_HARM.value, text=text, treatment=treatment.arm)
    for rail in treatment.guardrails:
        if rail.breached and rail.anytime is not None:
            text = f"{_named(rail)} changes by {_rise(rail, rail.anytime)}, at every look: more than {_margin(rail)}."
            yield Reason(code=Code.GUARDRAIL_HARM.value, text=text, treatment=treatment.arm)


def criteria(plan: Plan, treatment: Treatment, *, planned: bool) -> list[Criterion]:
    """Every condition of shipping this treatment.

    Args:
        plan: the standard.
        treatment: what is known of it.
        planned: whether the planned units are there, so that fixed intervals count.
    """
    found = [_ctr(plan, treatment, planned=planned)]
    if plan.goal == "non_inferiority":
        found.append(_cost(treatment, planned=planned))
    return found + [_guardrail(treatment, rail, planned=planned) for rail in treatment.guardrails]


def _ctr(plan: Plan, treatment: Treatment, *, planned: bool) -> Criterion:
    ctr = treatment.ctr
    if ctr is None:
        return _criterion(
            State.OPEN, Code.CTR_UNMEASURED, f"There is no lift of CTR yet: {treatment.missing}.", treatment
        )
    accepted = _accepted(plan)
    interval, p = (ctr.fixed, ctr.p) if planned else (ctr.anytime, ctr.p_anytime)
    shown = f"CTR changes by {percent(interval)}"
    enough = planned or treatment.fewest_units >= ENOUGH
    if enough and p < plan.alpha and interval[0] > -accepted:
        return _criterion(State.MET, Code.CTR_MET, f"{shown}: {_goal(accepted)}.", treatment)
    if interval[1] < -accepted:
        return _criterion(State.MISSED, Code.CTR_MISSED, f"{shown}: {_than(accepted)}.", treatment)
    text = f"{shown}, which leaves open whether {_question(accepted)}."
    more = _more_units(treatment.units, -ctr.estimate, (-interval[1], -interval[0]), accepted)
    return _criterion(State.OPEN, Code.CTR_OPEN, text, treatment, more)


def _cost(treatment: Treatment, *, planned: bool) -> Criterion:
    cost = treatment.cost
    latency = cost.latency_fixed if planned else cost.latency_anytime
    if cost.flops_saved is not None and cost.flops_saved > 0:
        text = f"It takes {cost.flops_saved:.1%} fewer multiplications per candidate."
        return _criterion(State.MET, Code.CHEAPER, text, treatment)
    if latency is not None and latency[1] < 0:
        return _criterion(State.MET, Code.CHEAPER, f"Its p99 latency changes by {percent(latency)}.", treatment)
    known = f"p99 latency changes by {percent(latency)}" if latency is not None else "p99 latency is not known"
    flops = (
        "multiplications are not known" if cost.flops_saved is None else f"multiplications by {-cost.flops_saved:+.1%}"
    )
    # FLOPs are counted, not estimated: if they are no fewer, only a latency shown to be lower could have saved it.
    if cost.flops_saved is not None and latency is not None:
        return _criterion(State.MISSED, Code.NOT_CHEAPER, f"It is not cheaper: {known}, {flops}.", treatment)
    return _criterion(State.OPEN, Code.COST_OPEN, f"It is not shown to be cheaper: {known}, {flops}.", treatment)


def _guardrail(treatment: Treatment, rail: GuardrailView, *, planned: bool) -> Criterion:
    interval = rail.fixed if planned else rail.anytime
    if rail.harm is None or interval is None:
        text = f"{_named(rail)} cannot be judged: {rail.missing}."
        return _criterion(State.OPEN, Code.GUARDRAIL_UNMEASURED, text, treatment)
    shown = f"{_named(rail)} changes by {_rise(rail, interval)}"
    if interval[1] < rail.margin:
        return _criterion(State.MET, Code.GUARDRAILS_MET, f"{shown}: less than {_margin(rail)}.", treatment)
    if interval[0] > rail.margin:
        return _criterion(State.MISSED, Code.GUARDRAIL_MISSED, f"{shown}: more than {_margin(rail)}.", treatment)
    more = _more_units(treatment.units, rail.harm, interval, rail.margin)
    text = f"{shown}, which leaves open whether it keeps its margin of {_margin(rail)}."
    return _criterion(State.OPEN, Code.GUARDRAIL_OPEN, text, treatment, more)


def _criterion(state: State, code: Code, text: str, treatment: Treatment, more_units: int | None = None) -> Criterion:
    return Criterion(
        state=state, reason=Reason(code=code.value, text=text, treatment=treatment.arm), more_units=more_units
    )


def _more_units(units: int, harm: float, interval: Ends, margin: float) -> int | None:
    """Units until the interval's worse end is within the margin: its width shrinks with their square root."""
    reach, room = interval[1] - harm, margin - harm
    if room <= 0 or not isfinite(reach):
        return None
    return max(1, ceil(units * ((reach / room) ** 2 - 1)))


def _accepted(plan: Plan) -> float:
    return plan.margin if plan.goal == "non_inferiority" else 0.0


def _goal(accepted: float) -> str:
    return f"it loses less than the accepted {accepted:.2%}" if accepted else "it is above the control's"


def _than(accepted: float) -> str:
    return f"more is lost than the accepted {accepted:.2%}" if accepted else "it is below the control's"


def _question(accepted: float) -> str:
    return f"less than {accepted:.2%} of it is lost" if accepted else "it is above the control's"


def percent(interval: Ends) -> str:
    """An interval of fractions, as people read it."""
    return f"{_ends(interval)} %"


def _ends(interval: Ends) -> str:
    low, high = (f"{100 * end:+.2f}" if isfinite(end) else "unknown" for end in interval)
    return f"{low} to {high}"


def _named(rail: GuardrailView) -> str:
    name = NAMES[rail.metric]
    return name[0].upper() + name[1:]


def _rise(rail: GuardrailView, interval: Ends) -> str:
    return percent(interval) if rail.scale == "lift" else f"{_ends(interval)} percentage points"


def _margin(rail: GuardrailView) -> str:
    return f"{100 * rail.margin:g} %" if rail.scale == "lift" else f"{100 * rail.margin:g} percentage points"
