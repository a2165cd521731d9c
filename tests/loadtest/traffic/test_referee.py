from __future__ import annotations

from loadtest.traffic.client import Prediction
from loadtest.traffic.referee import Referee

DOCUMENT = {
    "experiments": [
        {
            "name": "e",
            "ramp": 60.0,
            "arms": [
                {"name": "control", "model": "student", "weight": 5000},
                {"name": "treatment", "model": "teacher", "weight": 5000},
            ],
        }
    ]
}


def answer(arm: str, *, fallback: bool = False) -> Prediction:
    return Prediction(arm, f"{arm}@1", fallback, [0.5], None)


def units_by_arm(referee: Referee) -> dict[str, list[str]]:
    """Arm that is due → units, found by offering one arm and seeing whether it is called wrong."""
    found: dict[str, list[str]] = {"control": [], "treatment": [], "student": []}
    for unit in map(str, range(300)):
        for arm, units in found.items():
            before = referee.wrong_arm
            referee.judge(unit, {}, answer(arm))
            if referee.wrong_arm == before:
                units.append(unit)
    return found


def test_every_unit_is_owed_one_arm_and_only_assigned_answers_count() -> None:
    by_arm = units_by_arm(Referee(DOCUMENT))
    assert sum(map(len, by_arm.values())) == 300
    assert all(len(units) > 60 for units in by_arm.values())
    referee = Referee(DOCUMENT)
    assert referee.judge(by_arm["treatment"][0], {}, answer("treatment", fallback=True))
    assert not referee.judge(by_arm["student"][0], {}, answer("student"))
    assert referee.wrong_arm == 0
    assert referee.assigned == {"treatment": 1}
    assert referee.fallbacks == {"treatment": 1}
    assert referee.reasons == {"assigned": 1, "ramp": 1}
    assert referee.models == {"treatment": {"treatment@1"}}


def test_only_assigned_units_have_arms_to_compare() -> None:
    by_arm = units_by_arm(Referee(DOCUMENT))
    referee = Referee(DOCUMENT)
    assert [arm.name for arm in referee.arms(by_arm["control"][0], {})] == ["control", "treatment"]
    assert referee.arms(by_arm["student"][0], {}) == ()


def test_without_experiments_every_answer_counts_for_who_gave_it() -> None:
    referee = Referee(None)
    assert referee.judge("u", {}, answer("student"))
    assert referee.assigned == {"student": 1}
    assert referee.arms("u", {}) == ()
