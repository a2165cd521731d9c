from __future__ import annotations

import pytest

from loadtest.proof.asking import document
from loadtest.proof.kill_switch import Switch
from loadtest.proof.stickiness import RAMPS, monotonic, sticky, switched
from service.experiment.assignment import Assigner
from service.experiment.document import read_toml

NAMES = [f"unit-{number}" for number in range(400)]
OTHER = {"control": "treatment", "treatment": "control"}


def arms_at(ramp: float) -> dict[str, str]:
    assigner = Assigner(read_toml(document(ramp=ramp)))
    return {name: assigner.assign(name, {}).arm for name in NAMES}


def ramped() -> dict[float, dict[str, str]]:
    return {ramp: arms_at(ramp) for ramp in RAMPS}


def test_the_same_arms_after_every_start_are_sticky() -> None:
    same, right, sizes = sticky([arms_at(100)] * 4, NAMES)
    assert (same.found, same.met, right.found, right.met, sizes.met) == (
        "100.0% 100.0% 100.0%",
        True,
        "100.0%",
        True,
        True,
    )


def test_one_unit_in_another_arm_after_a_restart_is_not_sticky() -> None:
    moved = arms_at(100)
    moved["unit-7"] = OTHER[moved["unit-7"]]
    same, right, _ = sticky([arms_at(100), arms_at(100), moved], NAMES)
    assert (same.found, same.met, right.met) == ("100.0% 99.8%", False, True)


def test_arms_that_are_sticky_and_not_the_specified_ones_are_told() -> None:
    swapped = {name: OTHER[arm] for name, arm in arms_at(100).items()}
    same, right, _ = sticky([swapped] * 2, NAMES)
    assert (same.met, right.found, right.met) == (True, "0.0%", False)


def test_everybody_in_one_arm_is_told() -> None:
    assert not sticky([dict.fromkeys(NAMES, "control")] * 2, NAMES)[2].met


def test_a_growing_ramp_moves_nobody_out() -> None:
    moved, counts = monotonic(ramped())
    assert (moved.found, moved.met, counts.met) == ("0", True, True)
    assert counts.found.endswith(" 400")


@pytest.mark.parametrize("change", ["out", "over"])
def test_a_unit_that_leaves_or_changes_its_arm_while_the_ramp_grows_is_told(change: str) -> None:
    found = ramped()
    unit = next(name for name, arm in found[5.0].items() if arm in OTHER)
    found[25.0][unit] = "student" if change == "out" else OTHER[found[25.0][unit]]
    assert monotonic(found)[0].found == ("1" if change == "out" else "2")


def throw(last_s: float, connections: tuple[int, ...] = (11, 13)) -> Switch:
    return Switch(last_s=last_s, answers=100, after_target=int(last_s > 1), connections=connections)


@pytest.mark.parametrize(
    ("switches", "met"),
    [
        ([throw(0.3), throw(0.9)], True),
        ([throw(0.3), throw(1.1)], False),
        ([throw(0.3), throw(0.3, (24, 0))], False),
    ],
    ids=["in time", "once late", "one worker never asked"],
)
def test_the_slowest_kill_counts_if_every_worker_was_asked(switches: list[Switch], met: bool) -> None:
    assert switched(switches).met is met
