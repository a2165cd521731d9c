"""A mismatch is told from chance, and its cause from others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.events.sql import SqlStore
from service.experiment.document import Document
from service.experiment.report.build import build_report
from service.experiment.report.schema_checks import SrmView
from service.experiment.statistics.srm import chi_square
from tests.service.events.builders import NOW_MS
from tests.service.experiment.report.stores import HOUR_MS, STUDENT, TEACHER, World, document, fill, happen

HALF_LOST = {"teacher": TEACHER, "student": replace(STUDENT, lost=0.5)}


def srm(store: SqlStore) -> SrmView:
    return build_report(store).srm


def test_arms_as_promised_raise_no_alarm(store: SqlStore) -> None:
    fill(store, document(), World(requests=1, feedback=False))
    found = srm(store)
    assert not found.alarm
    assert found.diagnosis.finding == "none"
    assert sum(found.counts.values()) == 1000
    assert found.chi2_p == pytest.approx(chi_square(list(found.counts.values()), [1, 1]))


def test_unequal_weights_are_no_mismatch(store: SqlStore) -> None:
    arms = [{"name": "teacher", "weight": 9000}, {"name": "student", "weight": 1000}]
    fill(store, document(arms=arms), World(requests=1, feedback=False, units=3000))
    found = srm(store)
    assert found.counts["teacher"] > 7 * found.counts["student"]
    assert not found.alarm


def test_a_day_that_lost_units_is_found(store: SqlStore) -> None:
    doc = document()
    fill(store, doc, World(requests=1, feedback=False, units=2500))
    bad = World(
        requests=1,
        feedback=False,
        units=1800,
        days=0.9,
        arms={"teacher": TEACHER, "student": replace(STUDENT, lost=1.0)},
    )
    midnight_ms = (NOW_MS // (24 * HOUR_MS) + 15) * 24 * HOUR_MS
    happen(store, doc, bad, since_ms=midnight_ms, prefix="other")
    found = srm(store)
    assert found.alarm
    assert found.diagnosis.finding == "level"
    assert "day 2025-10-24" in found.diagnosis.text
    worst = found.diagnosis.deviations[0]
    assert (worst.dimension, worst.counts["student"]) == ("day", 0)
    assert worst.p_rest > 0.001


def test_units_stored_with_another_arm_than_their_hash_gives_are_an_assignment_fault(store: SqlStore) -> None:
    """The document that drew the units has another salt than the one the phase is judged by."""
    doc = document(salt="promised", arms=[{"name": "teacher", "weight": 5000}, {"name": "student", "weight": 5000}])
    drew = document(salt="other", arms=[{"name": "teacher", "weight": 6000}, {"name": "student", "weight": 4000}])
    fill(store, doc, World(units=0))
    happen(store, drew, World(requests=1, feedback=False, units=2500, raw=True))
    found = srm(store)
    assert found.alarm
    assert found.diagnosis.finding == "assignment"
    assert found.diagnosis.recomputed is not None
    assert found.diagnosis.recomputed.units == 2500
    assert found.diagnosis.recomputed.mismatches == pytest.approx(1250, rel=0.1)
    assert found.diagnosis.recomputed.chi2_p is not None
    assert found.diagnosis.recomputed.chi2_p > 0.001


def test_lost_exposures_with_raw_units_are_a_capture_fault_and_without_unexplained(store: SqlStore) -> None:
    fill(store, document(), World(requests=1, feedback=False, units=3000, arms=HALF_LOST, raw=True))
    assert srm(store).diagnosis.finding == "capture"
    fill(store, document(phase=2), World(requests=1, feedback=False, units=3000, arms=HALF_LOST))
    found = srm(store)
    assert found.diagnosis.finding == "unknown"
    assert found.diagnosis.recomputed is None


def test_answers_and_fallbacks_are_shown_by_arm(store: SqlStore) -> None:
    arms = {"teacher": replace(TEACHER, fallback=0.25), "student": replace(STUDENT, errors=0.5)}
    fill(store, document(), World(requests=2, arms=arms))
    found = srm(store).diagnosis
    assert found.fallback["teacher"] == pytest.approx(0.25, abs=0.05)
    assert found.fallback["student"] == 0.0
    assert found.answered == {"teacher": 1.0, "student": 1.0}
    assert found.models["student"][""] == pytest.approx(250, rel=0.2)
    assert set(found.models["teacher"]) == {"teacher@v1", "student@v1"}


def test_the_sequential_p_never_rises(store: SqlStore) -> None:
    fill(store, document(), World(requests=1, feedback=False, units=800, arms=HALF_LOST))
    looks = build_report(store).comparisons[0].over_time
    assert (np.diff([look.srm_p for look in looks]) <= 0).all()
    assert looks[-1].srm_p == srm(store).sequential_p


def test_a_unit_of_several_arms_counts_once_in_its_first(store: SqlStore) -> None:
    drew: Document = document(salt="other")
    fill(store, document(salt="promised"), World(requests=1, units=500))
    happen(store, drew, World(requests=1, units=500), since_ms=NOW_MS + 20 * 24 * HOUR_MS)
    report = build_report(store)
    assert sum(report.srm.counts.values()) == report.provenance.units == 500
    assert report.provenance.multi_arm_units == pytest.approx(250, rel=0.2)
    assert {reason.code for reason in report.verdict.reasons} == {"multi_arm_units"}
