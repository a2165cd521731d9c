from __future__ import annotations

from typing import Any

import pytest

from service.experiment.document import DocumentError, check, check_change, check_models, read_json, read_toml

TOML = """
default = "student"

[layer]
salt = "ranking"
holdout = 2.5

[[experiments]]
name = "student-vs-teacher"
ramp = 12.34
targeting = { country = ["de", 1] }
arms = [{ name = "teacher", weight = 5000 }, { name = "student", weight = 5000 }]

[experiments.analysis]
margin = 0.02

[shadow]
share = 0.1
"""


def document(**changes: Any) -> dict[str, Any]:
    """A document of one experiment with `changes` in it."""
    arms = [{"name": "teacher", "weight": 5000}, {"name": "student", "weight": 5000}]
    return {"experiments": [{"name": "a", "arms": arms, **changes}]}


def arms(*weights: int, **more: Any) -> list[dict[str, Any]]:
    return [{"name": f"arm{i}", "weight": weight, **more} for i, weight in enumerate(weights)]


def refusal(decoded: Any) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        check(decoded)
    return caught.value


def test_toml_and_json_give_the_same_document() -> None:
    read = read_toml(TOML)
    assert read_json(read.model_dump_json().encode()) == read
    assert read.experiments[0].salt == "student-vs-teacher.1"
    assert read.experiments[0].control.name == "teacher"
    assert read.experiments[0].targeting == {"country": ("de", 1)}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"arms": arms(5000, 4000)}, "experiments.0.arms", "9000"),
        ({"arms": arms(10_000)}, "experiments.0.arms", "at least 2"),
        ({"arms": [*arms(5000), *arms(5000)]}, "experiments.0.arms", "arm0 twice"),
        ({"arms": arms(5000, 5000, extra=1)}, "experiments.0.arms.0.extra", "not permitted"),
        ({"arms": arms(10_000, 0)}, "experiments.0.arms.1.weight", "greater than or equal to 1"),
        ({"mode": "aa"}, "experiments.0.arms", "one model for every arm"),
        ({"mode": "ac"}, "experiments.0.mode", "'ab' or 'aa'"),
        ({"ramp": 101.0}, "experiments.0.ramp", "less than or equal to 100"),
        ({"ramp": 12.345}, "experiments.0.ramp", "at most two decimals"),
        ({"ramp": float("nan")}, "experiments.0.ramp", ""),
        ({"ranges": [[5, 5]]}, "experiments.0.ranges", "within 0 to 10000"),
        ({"ranges": [[0, 10_001]]}, "experiments.0.ranges", "within 0 to 10000"),
        ({"ranges": [[0, 6000], [5000, 7000]]}, "experiments.ranges", "[0, 6000) of a and [5000, 7000) of a"),
        ({"salt": "a:b"}, "experiments.0.salt", "match"),
        ({"salt": "ranking"}, "salts", "ranking twice"),
        ({"name": "A"}, "experiments.0.name", "match"),
        ({"phase": 0}, "experiments.0.phase", "greater than or equal to 1"),
        ({"analysis": {"margin": 0}}, "experiments.0.analysis.margin", "greater than 0"),
    ],
)
def test_a_fault_is_named_with_its_place(changes: dict[str, Any], field: str, words: str) -> None:
    error = refusal(document(**changes))
    assert error.field == field
    assert words in str(error)


def test_experiments_that_overlap_in_the_layer_are_refused_by_name() -> None:
    both = [
        {"name": "a", "arms": arms(5000, 5000)},
        {"name": "b", "arms": arms(5000, 5000), "ranges": [[9999, 10_000]]},
    ]
    assert "[0, 10000) of a and [9999, 10000) of b" in str(refusal({"experiments": both}))


@pytest.mark.parametrize("decoded", [[], None, 3, {"experiment": []}])
def test_what_is_no_document_is_refused(decoded: object) -> None:
    assert refusal(decoded).expected


def test_text_that_does_not_parse_is_refused_with_its_line() -> None:
    with pytest.raises(DocumentError, match="line 1"):
        read_toml("= 3")
    with pytest.raises(DocumentError, match="JSON"):
        read_json(b"{")


def test_an_arm_without_a_model_is_refused_by_its_place() -> None:
    with pytest.raises(DocumentError, match=r"experiments\.0\.arms\.0: got teacher, expected .* student, v2"):
        check_models(check(document()), ["student", "v2"], ["student"])
    check_models(check(document()), ["student", "teacher"], ["student"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"arms": [{"name": "teacher", "weight": 4000}, {"name": "student", "weight": 6000}]}, "experiments.0.arms"),
        ({"salt": "other"}, "experiments.0.salt"),
        ({"ranges": [[0, 9000]]}, "experiments.0.ranges"),
        ({"targeting": {"country": ["de"]}}, "experiments.0.targeting"),
        ({"analysis": {"margin": 0.05}}, "experiments.0.analysis"),
    ],
)
def test_what_decides_or_judges_cannot_change_within_a_phase(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DocumentError, match=r"phase = 2") as caught:
        check_change(check(document()), check(document(**changes)))
    assert caught.value.field == field
    check_change(check(document()), check(document(**{"phase": 2, **changes})))


def test_ramp_and_kill_switch_move_within_a_phase_but_a_killed_phase_stays_killed() -> None:
    check_change(check(document(ramp=1.0)), check(document(ramp=50.0)))
    check_change(check(document()), check(document(kill=True)))
    with pytest.raises(DocumentError, match=r"kill: got false, expected true for the rest of phase 1"):
        check_change(check(document(kill=True)), check(document()))
    check_change(check(document(kill=True)), check(document(phase=2)))


def test_phases_only_count_up_and_draw_anew() -> None:
    with pytest.raises(DocumentError, match="at least 2"):
        check_change(check(document(phase=2)), check(document()))
    with pytest.raises(DocumentError, match="another salt"):
        check_change(check(document(salt="s")), check(document(phase=2, salt="s")))


def test_the_layers_salt_stays_while_a_phase_goes_on() -> None:
    other = {**document(), "layer": {"salt": "other"}}
    with pytest.raises(DocumentError, match=r"layer\.salt"):
        check_change(check(document()), check(other))
    check_change(check(document()), check({**document(phase=2), "layer": {"salt": "other"}}))
