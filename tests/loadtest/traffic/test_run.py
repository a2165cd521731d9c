"""Traffic on the real service: a process of its own, its event store, tokens, several workers."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from loadtest.traffic.misbehaviour import Misbehaviour
from loadtest.traffic.run import Crowd, Run, run
from loadtest.traffic.serve import EXPERIMENT, Wanted, experiment_service
from loadtest.traffic.simulate import Plan
from loadtest.traffic.summary import expected_results, faults
from service.events.reading import read_phase
from service.events.urls import open_store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found through /proc")

TWO_MODELS = EXPERIMENT.replace('"treatment", model = "student"', '"treatment", model = "teacher"')
WINDOW_S = 3.0
"""Longer than anything but what waits for it."""
PATIENT = {"CTR_TEACHER_TIMEOUT_MS": "30000"}
CROWD = {"users": 60, "candidates": 8, "days": 3}


def drive(wanted: Wanted, folder: Path, *plans: Plan) -> list[Run]:
    """Runs one after another on one service."""
    crowd = Crowd(bundle=wanted.student, **CROWD)
    with experiment_service(wanted, folder) as served:
        return [run(served.url, crowd, plan, bearer=served.admin_token) for plan in plans]


@pytest.mark.parametrize(("tokens", "seen"), [(True, ["late", "refused"]), (False, ["late", "unknown"])])
def test_every_misbehaviour_is_found_out_by_the_service_and_the_store_holds_the_truth(
    tokens: bool, seen: list[str], bundles: Path, tmp_path: Path
) -> None:
    wanted = Wanted(student=bundles / "student", experiment=EXPERIMENT, tokens=tokens, attribution_s=WINDOW_S)
    wrong = Misbehaviour(duplicates=0.1, late=0.1, unknown=0.1, forged=0.1)
    plan = Plan(requests=300, shown=5, misbehaviour=wrong, attribution_s=WINDOW_S + 0.1, bulk=100)
    (ran,) = drive(wanted, tmp_path, plan)
    assert faults(ran, 0.0) == []
    assert min(expected_results(ran)[result] for result in ("accepted", "duplicates", *seen)) > 0
    with closing(open_store(f"sqlite:{tmp_path}/events.sqlite3", int(WINDOW_S * 1000))) as store:
        rows = read_phase(store, "traffic", 1)
    assert np.bincount(rows.arm_E).tolist() == [ran.outcome.referee.assigned[arm] for arm in rows.arms]
    assert (rows.propensity_E == 0.5).all()
    arm_I = rows.arm_E[rows.exposure_I]
    for number, arm in enumerate(rows.arms):
        true = ran.outcome.truth.arms[arm]
        assert (int((arm_I == number).sum()), int(rows.clicked_I[arm_I == number].sum())) == (
            true.impressions,
            true.clicks,
        )


def test_the_same_seed_brings_the_same_clicks_and_the_lift_is_exactly_the_one_asked_for(
    bundles: Path, tmp_path: Path
) -> None:
    wanted = Wanted(student=bundles / "student", experiment=EXPERIMENT)
    plan = Plan(requests=200, seed=3, shown=5, lift=0.2, treatment="treatment")
    busier = dataclasses.replace(plan, concurrency=40, bulk=7)
    first, again = drive(wanted, tmp_path, plan, busier)
    assert faults(first, 0.0) == faults(again, 0.0) == []
    truths = [ran.outcome.truth.to_json("treatment", "control") for ran in (first, again)]
    assert [arm["clicks"] for arm in truths[0]["arms"].values()] == [
        arm["clicks"] for arm in truths[1]["arms"].values()
    ]
    assert [truth["caused_lift"] for truth in truths] == pytest.approx([0.2, 0.2], rel=1e-9)
    assert truths[0]["shown_lift"] == pytest.approx(truths[1]["shown_lift"], rel=1e-9)
    assert first.outcome.sent == again.outcome.sent


@pytest.mark.parametrize("form", ["no-context", "no-catalogue"])
def test_bundles_without_context_or_catalogue_get_traffic_too(form: str, bundles: Path, tmp_path: Path) -> None:
    wanted = Wanted(student=bundles / form, experiment=EXPERIMENT)
    (ran,) = drive(wanted, tmp_path, Plan(requests=100, shown=4, misbehaviour=Misbehaviour(unknown=0.2)))
    assert faults(ran, 0.0) == []
    assert ran.said.feedback["unknown"] > 0
    assert sum(seen.impressions for seen in ran.outcome.truth.arms.values()) == 400


def test_arms_of_two_models_are_compared_on_the_same_requests(bundles: Path, tmp_path: Path) -> None:
    wanted = Wanted(
        student=bundles / "student", teacher=bundles / "teacher", experiment=TWO_MODELS, workers=2, more=PATIENT
    )
    plan = Plan(
        requests=200, shown=3, concurrency=4, truth_path="/teacher/predict", truth_weight=2.0, counterfactual=1.0
    )
    (ran,) = drive(wanted, tmp_path, plan)
    assert not ran.said.errors
    assert ran.outcome.referee.models == {"control": {"tiny-student@v1"}, "treatment": {"tiny-teacher@v1"}}
    truth = ran.outcome.truth
    assert truth.caused_lift("treatment", "control") > 0.05, "the model that knows the truth ranks better"
    assert truth.units_in_several_arms == ran.outcome.referee.wrong_arm == 0
    assert sum(ran.outcome.referee.assigned.values()) == 200
