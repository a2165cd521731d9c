from __future__ import annotations

from collections import Counter

import numpy as np
import orjson
import pytest
from rich.console import Console

from loadtest.traffic.client import Prediction, Said
from loadtest.traffic.referee import Referee
from loadtest.traffic.run import Run
from loadtest.traffic.simulate import Outcome, Plan
from loadtest.traffic.summary import as_json, expected_results, faults, tables
from loadtest.traffic.truth import Truth

SENT = Counter(events=100, duplicate=7, late=11, unknown=5, forged=3)
WITHOUT_TOKENS = {"accepted": 77, "duplicates": 7, "late": 11, "unknown": 5, "refused": 0}
WITH_TOKENS = {"accepted": 74, "duplicates": 7, "late": 11, "unknown": 0, "refused": 8}


def make_run(*, tokens: bool = True, said: dict[str, int] | None = None, errors: int = 0, lost: int = 0) -> Run:
    """Two requests in two arms, answered in 10 and 30 ms."""
    truth, referee = Truth(), Referee(None)
    for unit, arm in (("u1", "control"), ("u2", "treatment")):
        referee.judge(unit, {}, Prediction(arm, "m@1", False, [0.5], None))
        truth.shown(arm, unit, np.array([0.2, 0.1]), np.array([True, False]))
    sent = SENT if tokens else Counter({kind: count for kind, count in SENT.items() if kind != "forged"})
    outcome = Outcome(truth=truth, referee=referee, sent=sent, tokens=tokens, seconds=2.0, lost=lost)
    given = (WITH_TOKENS if tokens else WITHOUT_TOKENS) if said is None else said
    return Run(
        outcome=outcome,
        said=Said(
            errors=Counter({"/predict: 503": errors} if errors else {}),
            feedback=Counter(given),
            predict_s=[0.01, 0.03],
            feedback_s=[0.002],
        ),
    )


def test_what_is_for_nobody_s_request_is_refused_where_answers_are_signed_and_only_there() -> None:
    assert expected_results(make_run()) == WITH_TOKENS
    assert expected_results(make_run(tokens=False)) == WITHOUT_TOKENS


@pytest.mark.parametrize("tokens", [True, False])
def test_a_run_that_went_as_it_should_has_no_faults(tokens: bool) -> None:
    assert faults(make_run(tokens=tokens), 0.0) == []


def test_feedback_that_became_something_else_is_a_fault() -> None:
    (fault,) = faults(make_run(said=WITH_TOKENS | {"duplicates": 6, "accepted": 75}), 0.0)
    assert "'duplicates': 6" in fault
    assert "'duplicates': 7" in fault


def test_errors_are_a_fault_beyond_the_budget() -> None:
    (fault,) = faults(make_run(errors=1, lost=2), 0.2)
    assert fault == "1 of 4 visits met an error, expected at most 20.00%: /predict: 503 x 1"
    assert faults(make_run(errors=1, lost=2), 0.25) == []


def test_a_unit_in_two_arms_and_an_answer_from_the_wrong_one_are_faults() -> None:
    run = make_run()
    run.outcome.truth.shown("control", "u2", np.array([0.1]), np.array([False]))
    run.outcome.referee.wrong_arm = 4
    wrong, several = faults(run, 0.0)
    assert wrong.startswith("4 answers came from another arm")
    assert several.startswith("1 units were in more than one arm")


def test_the_tables_show_truth_feedback_and_latencies() -> None:
    console = Console(width=100, record=True)
    for table in tables(make_run()):
        console.print(table)
    shown = console.export_text()
    for words in ("15.0000%", "50.0000%", "20.00", "control", "duplicates", "/feedback"):
        assert words in shown


def test_the_file_holds_what_was_sent_and_said() -> None:
    described = orjson.loads(orjson.dumps(as_json(make_run(), Plan(requests=2, treatment="treatment"), "control")))
    assert described["feedback"] == {"expected": WITH_TOKENS, "said": WITH_TOKENS}
    assert described["assigned"] == {"control": 1, "treatment": 1}
    assert described["truth"]["shown_lift"] == pytest.approx(0.0)
    assert described["truth"]["caused_lift"] is None
