"""Every verdict and every reason, one change at a time from a treatment that ships."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.experiment.evidence import Code, Cost, Ctr, Evidence, Treatment
from service.experiment.report.schema import Plan
from service.experiment.report.schema_arms import GuardrailView
from service.experiment.verdict import decide

NOW = 20_000
PLAN = Plan(mode="ab", goal="non_inferiority", margin=0.01, alpha=0.05, power=0.8, planned_units=10_000)


def rail(metric: str = "error_rate", **given: Any) -> GuardrailView:
    fields: dict[str, Any] = {
        "metric": metric,
        "scale": "difference",
        "treatment_value": 0.0,
        "control_value": 0.0,
        "margin": 0.01,
        "outcome": "pass",
        "harm": 0.0,
        "fixed": (-0.001, 0.001),
        "anytime": (-0.002, 0.002),
        "deteriorated": False,
        "breached": False,
        "n": NOW,
        "method": "m",
        "missing": None,
    }
    return GuardrailView(**{**fields, **given})


def ctr(low: float, high: float, *, p: float = 1e-6, wider: float = 1.6, **given: Any) -> Ctr:
    """A lift with this fixed interval, and an anytime-valid one so many times as wide."""
    middle, half = (low + high) / 2, (high - low) / 2
    fields: dict[str, Any] = {
        "estimate": middle,
        "fixed": (low, high),
        "anytime": (middle - wider * half, middle + wider * half),
        "p": p,
        "p_anytime": p,
        "p_difference": 1.0,
    }
    return Ctr(**{**fields, **given})


def treatment(**given: Any) -> Treatment:
    fields: dict[str, Any] = {
        "arm": "student",
        "units": NOW,
        "fewest_units": NOW // 2,
        "ctr": ctr(-0.004, 0.006),
        "missing": "",
        "cost": Cost(flops_saved=0.78, latency_fixed=(-0.6, -0.5), latency_anytime=(-0.7, -0.4)),
        "guardrails": (rail(), rail("latency_p99", scale="lift", margin=0.1)),
    }
    return Treatment(**{**fields, **given})


def evidence(*treatments: Treatment, plan: dict[str, Any] | None = None, **given: Any) -> Evidence:
    fields: dict[str, Any] = {
        "srm_p": 0.5,
        "exposure_loss": 0.0,
        "multi_arm_share": 0.0,
        "mixed_models": {},
        "unknown_arms": [],
    }
    return Evidence(plan=replace(PLAN, **(plan or {})), treatments=treatments or (treatment(),), **{**fields, **given})


SUPERIORITY = {"goal": "superiority"}
FEW = {"units": 5_000, "fewest_units": 2_500}
DEAR = Cost(flops_saved=-3.0, latency_fixed=(0.5, 0.6), latency_anytime=(0.4, 0.7))
UNKNOWN_COST = Cost(flops_saved=None, latency_fixed=(-0.1, 0.1), latency_anytime=(-0.2, 0.2))
BREACHED = {"harm": 0.05, "fixed": (0.04, 0.06), "anytime": (0.03, 0.07), "breached": True, "outcome": "fail"}
MISSED = {"harm": 0.02, "fixed": (0.012, 0.028), "anytime": (0.005, 0.035), "outcome": "fail"}
UNSURE = {"harm": 0.004, "fixed": (-0.008, 0.016), "anytime": (-0.02, 0.03), "outcome": "undecided"}
UNMEASURED = {"harm": None, "fixed": None, "anytime": None, "outcome": "unmeasured", "missing": "not logged"}

CASES: list[tuple[str, Evidence, str, set[Code]]] = [
    ("no worse and cheaper", evidence(), "ship", {Code.CTR_MET, Code.CHEAPER, Code.GUARDRAILS_MET}),
    (
        "cheaper in latency alone",
        evidence(treatment(cost=Cost(flops_saved=None, latency_fixed=(-0.2, -0.1), latency_anytime=(-0.3, -0.01)))),
        "ship",
        {Code.CTR_MET, Code.CHEAPER, Code.GUARDRAILS_MET},
    ),
    (
        "better",
        evidence(treatment(ctr=ctr(0.004, 0.02)), plan=SUPERIORITY),
        "ship",
        {Code.CTR_MET, Code.GUARDRAILS_MET},
    ),
    (
        "better and dearer",
        evidence(treatment(ctr=ctr(0.004, 0.02), cost=DEAR), plan=SUPERIORITY),
        "ship",
        {Code.CTR_MET, Code.GUARDRAILS_MET},
    ),
    (
        "shown early by the interval that holds at every look",
        evidence(treatment(ctr=ctr(0.004, 0.02, wider=1.1), **FEW), plan=SUPERIORITY),
        "ship",
        {Code.CTR_MET, Code.GUARDRAILS_MET},
    ),
    (
        "shown early by the fixed interval alone",
        evidence(treatment(ctr=ctr(0.001, 0.02, p_anytime=0.3), **FEW), plan=SUPERIORITY),
        "inconclusive",
        {Code.CTR_OPEN, Code.UNITS_TO_COME},
    ),
    (
        "shown for one treatment, not after Holm",
        evidence(treatment(ctr=ctr(0.001, 0.02, p=0.06)), plan=SUPERIORITY),
        "inconclusive",
        {Code.CTR_OPEN},
    ),
    ("mismatch", evidence(srm_p=0.0009), "invalid", {Code.SRM}),
    ("no mismatch yet", evidence(srm_p=0.0011), "ship", {Code.CTR_MET, Code.CHEAPER, Code.GUARDRAILS_MET}),
    ("lost exposures", evidence(exposure_loss=0.0011), "invalid", {Code.EXPOSURE_LOSS}),
    ("units in several arms", evidence(multi_arm_share=0.0051), "invalid", {Code.MULTI_ARM_UNITS}),
    ("two versions", evidence(mixed_models={"student": ["s@1", "s@2"]}), "invalid", {Code.MIXED_MODELS}),
    ("a stranger", evidence(unknown_arms=["v9"]), "invalid", {Code.UNKNOWN_ARM}),
    (
        "several faults are all told, and harm is none of them",
        evidence(treatment(guardrails=(rail(**BREACHED),)), srm_p=1e-9, exposure_loss=0.5),
        "invalid",
        {Code.SRM, Code.EXPOSURE_LOSS},
    ),
    (
        "a difference in A/A",
        evidence(treatment(ctr=ctr(0.01, 0.03, p_difference=0.01)), plan={"mode": "aa"}),
        "invalid",
        {Code.AA_DIFFERENCE},
    ),
    ("none in A/A", evidence(treatment(ctr=ctr(-0.01, 0.02)), plan={"mode": "aa"}), "keep", {Code.AA_NO_DIFFERENCE}),
    (
        "none in A/A yet",
        evidence(treatment(**FEW), plan={"mode": "aa"}),
        "inconclusive",
        {Code.AA_NO_DIFFERENCE, Code.UNITS_TO_COME},
    ),
    (
        "A/A without clicks",
        evidence(treatment(ctr=None, missing="no clicks"), plan={"mode": "aa"}),
        "inconclusive",
        {Code.CTR_UNMEASURED},
    ),
    ("CTR lost", evidence(treatment(ctr=ctr(-0.05, -0.03))), "stop_harm", {Code.CTR_HARM}),
    ("CTR lost early", evidence(treatment(ctr=ctr(-0.05, -0.03), **FEW)), "stop_harm", {Code.CTR_HARM}),
    (
        "any loss harms superiority",
        evidence(treatment(ctr=ctr(-0.006, -0.002, wider=1.5)), plan=SUPERIORITY),
        "stop_harm",
        {Code.CTR_HARM},
    ),
    (
        "a loss within the margin is accepted",
        evidence(treatment(ctr=ctr(-0.006, -0.002, wider=1.5))),
        "ship",
        {Code.CTR_MET, Code.CHEAPER, Code.GUARDRAILS_MET},
    ),
    ("a guardrail breached", evidence(treatment(guardrails=(rail(**BREACHED),))), "stop_harm", {Code.GUARDRAIL_HARM}),
    (
        "too few units to call it harm",
        evidence(treatment(ctr=ctr(-0.5, -0.3), units=198, fewest_units=99)),
        "inconclusive",
        {Code.CTR_MISSED, Code.UNITS_TO_COME},
    ),
    ("lost by the fixed interval", evidence(treatment(ctr=ctr(-0.03, -0.011))), "keep", {Code.CTR_MISSED}),
    (
        "too few units to call it success",
        evidence(treatment(ctr=ctr(0.3, 0.5), units=198, fewest_units=99), plan=SUPERIORITY),
        "inconclusive",
        {Code.CTR_OPEN, Code.UNITS_TO_COME},
    ),
    (
        "lost by the fixed interval, early",
        evidence(treatment(ctr=ctr(-0.03, -0.011), **FEW)),
        "inconclusive",
        {Code.CTR_OPEN, Code.UNITS_TO_COME},
    ),
    ("dearer", evidence(treatment(cost=DEAR)), "keep", {Code.NOT_CHEAPER}),
    (
        "as dear by count, and not shown to be faster",
        evidence(treatment(cost=replace(UNKNOWN_COST, flops_saved=0.0))),
        "keep",
        {Code.NOT_CHEAPER},
    ),
    ("perhaps cheaper", evidence(treatment(cost=UNKNOWN_COST)), "inconclusive", {Code.COST_OPEN}),
    (
        "cost not known at all",
        evidence(treatment(cost=Cost(flops_saved=None, latency_fixed=None, latency_anytime=None))),
        "inconclusive",
        {Code.COST_OPEN},
    ),
    ("a guardrail missed", evidence(treatment(guardrails=(rail(**MISSED),))), "keep", {Code.GUARDRAIL_MISSED}),
    ("a guardrail unsure", evidence(treatment(guardrails=(rail(**UNSURE),))), "inconclusive", {Code.GUARDRAIL_OPEN}),
    (
        "a guardrail that nobody measured",
        evidence(treatment(guardrails=(rail("log_loss", **UNMEASURED),))),
        "inconclusive",
        {Code.GUARDRAIL_UNMEASURED},
    ),
    ("no lift", evidence(treatment(ctr=None, missing="no feedback")), "inconclusive", {Code.CTR_UNMEASURED}),
    ("anything", evidence(treatment(ctr=ctr(-0.02, 0.02, p=0.4))), "inconclusive", {Code.CTR_OPEN}),
]


@pytest.mark.parametrize(("given", "expected", "codes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_verdict_and_its_reasons(given: Evidence, expected: str, codes: set[Code]) -> None:
    found = decide(given)
    assert (found.verdict, {reason.code for reason in found.reasons}) == (expected, {code.value for code in codes})
    assert all(reason.text.endswith(".") and len(reason.text) > 20 for reason in found.reasons)


def test_every_code_is_given_by_some_case() -> None:
    given = {reason.code for _, one, _, _ in CASES for reason in decide(one).reasons}
    assert given == {code.value for code in Code}


def test_fixed_intervals_decide_once_the_planned_units_are_there() -> None:
    assert decide(evidence()).rule == "fixed"
    assert decide(evidence(treatment(units=9_999))).rule == "anytime"


def test_before_the_planned_units_they_are_what_is_missing() -> None:
    assert decide(evidence(treatment(ctr=ctr(-0.02, 0.02, p=0.4), **FEW))).more_units == 5_000


def test_afterwards_it_is_what_the_widest_open_interval_needs() -> None:
    """The lift at 0 ± 2 % needs a half width of 1 %: four times the units."""
    assert decide(evidence(treatment(ctr=ctr(-0.02, 0.02, p=0.4)))).more_units == 3 * NOW


def test_nobody_says_how_many_units_a_lift_on_the_wrong_side_needs() -> None:
    assert decide(evidence(treatment(ctr=ctr(-0.03, 0.005, p=1.0)))).more_units is None


def test_a_verdict_that_is_reached_asks_for_no_units() -> None:
    assert decide(evidence()).more_units is None


def arm(name: str, **given: Any) -> Treatment:
    return treatment(arm=name, **given)


WIN, BIG_WIN = {"ctr": ctr(0.004, 0.02)}, {"ctr": ctr(0.02, 0.04)}
HARM, LOSS, OPEN = {"ctr": ctr(-0.05, -0.03)}, {"ctr": ctr(-0.03, -0.011)}, {"ctr": ctr(-0.02, 0.02, p=0.4)}


@pytest.mark.parametrize(
    ("first", "second", "expected", "about"),
    [
        (WIN, BIG_WIN, "ship", "b"),
        (BIG_WIN, WIN, "ship", "a"),
        (WIN, LOSS, "ship", "a"),
        (WIN, HARM, "stop_harm", "b"),
        (LOSS, OPEN, "inconclusive", None),
        (LOSS, LOSS, "keep", None),
    ],
)
def test_of_several_treatments_the_most_urgent_word_counts(first: Any, second: Any, expected: str, about: str) -> None:
    found = decide(evidence(arm("a", **first), arm("b", **second)))
    assert (found.verdict, found.treatment) == (expected, about)
    assert set(found.by_treatment) == {"a", "b"}
    assert {reason.treatment for reason in found.reasons} == {"a", "b"}
