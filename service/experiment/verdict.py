"""What to do about an experiment: pure, from numbers to one of five words and the reasons for it.

    invalid        the numbers cannot be trusted: SRM, lost exposures, units in several arms, several versions of a
                   model in one phase, or an A/A test that found a difference
    stop_harm      a treatment is worse than what was accepted, by an interval that holds at every look
    ship           success is shown, and every guardrail keeps its margin
    keep           with the planned units there, success or a guardrail is shown to be missed
    inconclusive   anything else, with what is missing

Success is a CTR above the control's (superiority), or one that loses no more than the margin, from an arm that is
cheaper in multiplications or in p99 latency (non-inferiority). Until the planned units are there anytime-valid
intervals decide, from then on fixed ones: a fixed interval looked at every day is wrong far more often than it says.
A loss within a margin is no harm: that it is accepted is what the margin says. With several treatments the first word
of this order that holds for any of them counts: stop_harm, ship, inconclusive, keep.

Source: reference section 1.5; Spotify, "Risk-aware product decisions in A/B tests with multiple metrics", 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.experiment.evidence import Code, Evidence, Treatment
from service.experiment.judgement import Criterion, State, criteria, harms
from service.experiment.report.schema import Plan, Reason, Verdict
from service.experiment.report.schema_arms import Decided
from service.experiment.statistics.srm import ALARM

MOST_EXPOSURE_LOSS = 0.001
MOST_MULTI_ARM = 0.005


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    """The verdict on one treatment."""

    treatment: Treatment
    verdict: Decided
    reasons: tuple[Reason, ...]
    more_units: int | None = None


def decide(evidence: Evidence) -> Verdict:
    """The verdict on a phase."""
    plan = evidence.plan
    faults = tuple(_faults(evidence))
    judged = [
        _Judged(treatment=one, verdict="invalid", reasons=()) if faults else _judge(plan, one)
        for one in evidence.treatments
    ]
    leading = _leading(judged)
    missing = [one.more_units for one in judged if one.verdict == "inconclusive" and one.more_units is not None]
    ending = all(_planned(plan, one) for one in evidence.treatments)
    named = leading.verdict in {"ship", "stop_harm"} or len(judged) == 1
    return Verdict(
        verdict=leading.verdict,
        treatment=leading.treatment.arm if named else None,
        reasons=faults or tuple(reason for one in judged for reason in one.reasons),
        rule="fixed" if ending else "anytime",
        more_units=max(missing) if leading.verdict == "inconclusive" and missing else None,
        by_treatment={one.treatment.arm: one.verdict for one in judged},
    )


def _leading(judged: list[_Judged]) -> _Judged:
    """The treatment whose verdict is the phase's; of several to ship the one of the largest lift."""
    order = ("invalid", "stop_harm", "ship", "inconclusive", "keep")

    def rank(one: _Judged) -> tuple[int, float]:
        return order.index(one.verdict), -one.treatment.ctr.estimate if one.treatment.ctr else 0.0

    return min(judged, key=rank)


def _faults(evidence: Evidence) -> Iterator[Reason]:
    """Why the numbers cannot be trusted."""
    if evidence.srm_p is not None and evidence.srm_p < ALARM:
        text = (
            f"Sample ratio mismatch: the arms' units have an anytime-valid p of {evidence.srm_p:.2g}, below {ALARM:g}."
        )
        yield Reason(code=Code.SRM.value, text=text)
    if evidence.exposure_loss > MOST_EXPOSURE_LOSS:
        text = f"{evidence.exposure_loss:.2%} of the records were dropped, more than {MOST_EXPOSURE_LOSS:.1%}."
        yield Reason(code=Code.EXPOSURE_LOSS.value, text=text)
    if evidence.multi_arm_share > MOST_MULTI_ARM:
        text = f"{evidence.multi_arm_share:.2%} of the units were seen in several arms, more than {MOST_MULTI_ARM:.1%}."
        yield Reason(code=Code.MULTI_ARM_UNITS.value, text=text)
    for arm, models in evidence.mixed_models.items():
        text = f"Arm {arm} was answered by {', '.join(models)} in one phase: begin a new phase with a new version."
        yield Reason(code=Code.MIXED_MODELS.value, text=text)
    for arm in evidence.unknown_arms:
        yield Reason(
            code=Code.UNKNOWN_ARM.value, text=f"Units were exposed to {arm}, an arm that this phase does not have."
        )
    if evidence.plan.mode == "aa":
        yield from _differences(evidence)


def _differences(evidence: Evidence) -> Iterator[Reason]:
    for one in evidence.treatments:
        if one.ctr is not None and one.ctr.p_difference < evidence.plan.alpha:
            text = (
                f"An A/A test found a difference in CTR, anytime-valid p {one.ctr.p_difference:.2g}: the split or the "
                "logging favours an arm."
            )
            yield Reason(code=Code.AA_DIFFERENCE.value, text=text, treatment=one.arm)


def _judge(plan: Plan, treatment: Treatment) -> _Judged:
    """The verdict on one treatment whose numbers can be trusted."""
    planned = _planned(plan, treatment)
    if plan.mode == "aa":
        return _same(plan, treatment, planned=planned)
    if harmed := tuple(harms(plan, treatment)):
        return _Judged(treatment=treatment, verdict="stop_harm", reasons=harmed)
    found = criteria(plan, treatment, planned=planned)
    missed = _reasons(found, State.MISSED)
    still_open = [one for one in found if one.state is State.OPEN]
    if not still_open and not missed:
        return _Judged(treatment=treatment, verdict="ship", reasons=_reasons(found, State.MET))
    if missed and planned:
        return _Judged(treatment=treatment, verdict="keep", reasons=missed)
    more = [one.more_units for one in still_open]
    units = max(one for one in more if one is not None) if more and None not in more else None
    reasons = missed + _reasons(found, State.OPEN)
    if planned:
        return _Judged(treatment=treatment, verdict="inconclusive", reasons=reasons, more_units=units)
    return _open(plan, treatment, reasons)


def _open(plan: Plan, treatment: Treatment, reasons: tuple[Reason, ...]) -> _Judged:
    """Before the planned units: they are what is missing."""
    more = plan.planned_units - treatment.units
    text = f"{treatment.units} of {plan.planned_units} planned units are there: {more} are to come."
    to_come = Reason(code=Code.UNITS_TO_COME.value, text=text, treatment=treatment.arm)
    return _Judged(treatment=treatment, verdict="inconclusive", reasons=(*reasons, to_come), more_units=more)


def _same(plan: Plan, treatment: Treatment, *, planned: bool) -> _Judged:
    """An A/A test that found nothing."""
    if treatment.ctr is None:
        text = f"There is no lift of CTR yet: {treatment.missing}."
        unmeasured = (Reason(code=Code.CTR_UNMEASURED.value, text=text, treatment=treatment.arm),)
        return (
            _Judged(treatment=treatment, verdict="inconclusive", reasons=unmeasured)
            if planned
            else _open(plan, treatment, unmeasured)
        )
    text = "The A/A test finds no difference in CTR, as it should."
    none = Reason(code=Code.AA_NO_DIFFERENCE.value, text=text, treatment=treatment.arm)
    return _Judged(treatment=treatment, verdict="keep", reasons=(none,)) if planned else _open(plan, treatment, (none,))


def _planned(plan: Plan, treatment: Treatment) -> bool:
    return treatment.units >= plan.planned_units


def _reasons(found: list[Criterion], state: State) -> tuple[Reason, ...]:
    return tuple(one.reason for one in found if one.state is state)
