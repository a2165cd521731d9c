from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from service.experiment.assignment import Assigner, Reason, bucket
from service.experiment.document import check

VECTORS = json.loads(Path(__file__).with_name("assignment_vectors.json").read_text())
TWO_ARMS = [{"name": "student", "weight": 5000}, {"name": "teacher", "weight": 5000}]


def assigner(layer: dict[str, Any] | None = None, **experiment: Any) -> Assigner:
    described = {"name": "student-vs-teacher", "arms": TWO_ARMS, **experiment}
    return Assigner(check({"experiments": [described], "layer": layer or {}}))


def reason_of(assigner: Assigner, unit: str | None = "user7", **context: Any) -> Reason:
    return assigner.assign(unit, context).reason


@pytest.mark.parametrize(("salt", "unit", "expected"), [("exp1", "user0", 6851), ("exp1", "user1", 294)])
def test_buckets_are_those_published(salt: str, unit: str, expected: int) -> None:
    """Values of the reference study, section 1.2."""
    assert bucket(salt, unit) == expected


def test_thousand_golden_units_fall_into_their_buckets_and_arms() -> None:
    """The vectors come from tests/service/experiment/make_assignment_vectors.py, which shares no code with us."""
    assign = assigner(ramp=25.0).assign
    assert len(VECTORS) == 1000
    for vector in VECTORS:
        unit, salt = vector["unit"], "student-vs-teacher.1"
        buckets = [bucket("ranking", unit), bucket(f"{salt}.in", unit), bucket(f"{salt}.arm", unit)]
        assert buckets == [vector["layer"], vector["inclusion"], vector["draw"]]
        got = assign(unit, {})
        assert (got.arm if got.reason is Reason.ASSIGNED else None) == vector["arm"]


def test_growing_the_ramp_moves_no_unit_out_and_changes_no_arm() -> None:
    units = [f"u{i}" for i in range(5000)]
    before: dict[str, str] = {}
    for ramp in (1.0, 5.0, 25.0, 50.0, 100.0):
        assign = assigner(ramp=ramp).assign
        got = {unit: assign(unit, {}) for unit in units}
        inside = {unit: found.arm for unit, found in got.items() if found.reason is Reason.ASSIGNED}
        assert {unit: inside.get(unit) for unit in before} == before
        before = inside
    assert len(before) == len(units)


def test_arms_stay_balanced_while_the_ramp_is_low() -> None:
    """One hash for both questions would give every unit of a 10 % ramp the same arm."""
    arms = Counter(assigner(ramp=10.0).assign(f"u{i}", {}).arm for i in range(40_000) if _is_in(i))
    assert chisquare(list(arms.values())).pvalue > 1e-4
    assert len(arms) == 2


def _is_in(i: int) -> bool:
    return bucket("student-vs-teacher.1.in", f"u{i}") < 1000


def test_buckets_are_uniform_and_independent_between_salts() -> None:
    units = [f"id-{i}" for i in range(200_000)]
    salts = ("a.in", "a.arm", "b.arm")
    drawn = {salt: np.array([bucket(salt, unit) for unit in units]) for salt in salts}
    for buckets_N in drawn.values():
        assert chisquare(np.bincount(buckets_N // 100, minlength=100)).pvalue > 1e-4
    for first, second in itertools.combinations(salts, 2):
        table = np.histogram2d(drawn[first], drawn[second], bins=10)[0]
        assert chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize("weights", [(5000, 5000), (9000, 1000), (3334, 3333, 3333)])
def test_weights_are_met_and_logged_as_propensities(weights: tuple[int, ...]) -> None:
    arms = [{"name": f"arm{i}", "weight": weight, "model": "student"} for i, weight in enumerate(weights)]
    assign = assigner(arms=arms, mode="aa").assign
    got = [assign(f"u{i}", {}) for i in range(20_000)]
    counts = Counter(found.arm for found in got)
    expected = [weight / 10_000 * len(got) for weight in weights]
    assert chisquare([counts[arm["name"]] for arm in arms], expected).pvalue > 1e-4
    assert {found.arm: found.propensity for found in got} == {
        arm["name"]: weight / 10_000 for arm, weight in zip(arms, weights, strict=True)
    }


def test_a_unit_without_id_gets_the_default_and_is_not_analysed() -> None:
    got = assigner().assign(None, {})
    assert (got.arm, got.model, got.reason, got.propensity) == ("student", "student", Reason.NO_UNIT, 1.0)


def test_kill_switch_sends_every_unit_to_the_default_model() -> None:
    killed = assigner(kill=True)
    assert {killed.assign(f"u{i}", {}).model for i in range(200)} == {"student"}
    assert {killed.assign(f"u{i}", {}).reason for i in range(200)} == {Reason.KILL_SWITCH}
    assert killed.assign("u1", {}, forced="teacher").reason is Reason.KILL_SWITCH


def test_forced_arm_wins_over_the_holdout_and_is_told_apart() -> None:
    everything_held_out = assigner(layer={"holdout": 100.0})
    assert reason_of(everything_held_out) is Reason.HOLDOUT
    got = everything_held_out.assign("user7", {}, forced="teacher")
    assert (got.arm, got.model, got.reason) == ("teacher", "teacher", Reason.FORCED)


def test_holdout_is_the_share_asked_for_and_never_seen_by_an_experiment() -> None:
    assign = assigner(layer={"holdout": 5.0}).assign
    held_out = sum(assign(f"u{i}", {}).reason is Reason.HOLDOUT for i in range(40_000))
    assert 0.045 < held_out / 40_000 < 0.055


def test_targeting_wants_one_of_the_values_whatever_their_type() -> None:
    targeted = assigner(targeting={"country": ["de", "fr"], "hour": [13]})
    assert reason_of(targeted, country="de", hour=13) is Reason.ASSIGNED
    assert reason_of(targeted, country="de", hour="13") is Reason.ASSIGNED
    assert reason_of(targeted, country="us", hour=13) is Reason.TARGETING
    assert reason_of(targeted, country="de") is Reason.TARGETING


def test_experiments_of_one_layer_share_no_unit() -> None:
    halves = [
        {"name": name, "arms": TWO_ARMS, "ranges": [bounds]} for name, bounds in (("a", [0, 5000]), ("b", [5000, 9000]))
    ]
    assign = Assigner(check({"experiments": halves})).assign
    got = [assign(f"u{i}", {}) for i in range(20_000)]
    share = Counter(found.experiment.name if found.experiment else "none" for found in got)
    assert share["a"] / 20_000 == pytest.approx(0.5, abs=0.02)
    assert share["b"] / 20_000 == pytest.approx(0.4, abs=0.02)
    assert {found.reason for found in got if found.experiment is None} == {Reason.LAYER}


def test_a_new_phase_draws_the_units_anew() -> None:
    first, second = assigner().assign, assigner(phase=2).assign
    same = np.mean([first(f"u{i}", {}).arm == second(f"u{i}", {}).arm for i in range(10_000)])
    assert same == pytest.approx(0.5, abs=0.03)


def test_an_arm_is_answered_by_the_model_it_names() -> None:
    arms = [{"name": "a", "weight": 5000, "model": "student"}, {"name": "b", "weight": 5000, "model": "student"}]
    got = [assigner(arms=arms, mode="aa").assign(f"u{i}", {}) for i in range(50)]
    assert {(found.arm, found.model) for found in got} == {("a", "student"), ("b", "student")}
