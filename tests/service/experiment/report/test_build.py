"""Reports on stores whose truth is known, made as the service makes them: events in, report out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from service.events import open_store
from service.events.records import Loss
from service.events.sql import SqlStore
from service.events.store import Batch
from service.experiment.report.build import build_report
from service.experiment.report.schema import Report, to_json
from service.experiment.report.subject import UnknownPhaseError
from tests.service.events.builders import ATTRIBUTION_MS, NOW_MS, answered, exposure
from tests.service.experiment.report.stores import (
    HOUR_MS,
    STUDENT,
    TEACHER,
    World,
    document,
    fill,
    happen,
    shadows,
)

Reported = Callable[..., Report]
BETTER = {"teacher": TEACHER, "student": replace(STUDENT, ctr=0.2)}
WORSE = {"teacher": TEACHER, "student": replace(STUDENT, ctr=0.05)}
THREE = [{"name": "teacher", "weight": 4000}, {"name": "student", "weight": 3000}, {"name": "v2", "weight": 3000}]


def codes(report: Report) -> set[str]:
    return {reason.code for reason in report.verdict.reasons}


def test_a_clear_win_ships(reported: Reported) -> None:
    report = reported(document(analysis={"goal": "superiority"}), World(arms=BETTER))
    assert (report.verdict.verdict, report.verdict.treatment) == ("ship", "student")
    [comparison] = report.comparisons
    assert comparison.primary is not None
    assert comparison.primary.fixed[0] > 0.5
    assert comparison.primary.anytime[0] < comparison.primary.fixed[0]
    assert comparison.primary.p_anytime < 0.001


def test_equal_clicks_for_fewer_multiplications_ship_under_non_inferiority(reported: Reported) -> None:
    report = reported(document(analysis={"margin": 0.3}), World())
    assert report.verdict.verdict == "ship"
    assert codes(report) == {"ctr_met", "cheaper", "guardrails_met"}
    [row] = report.improvements
    assert row.flops is not None
    assert row.flops.value == pytest.approx(1 - 15 / 70)
    assert row.latency_p50 is not None
    assert row.latency_p50.value == pytest.approx(0.75, abs=0.05)


def test_a_clear_harm_is_stopped(reported: Reported) -> None:
    report = reported(document(), World(arms=WORSE))
    assert report.verdict.verdict == "stop_harm"
    assert "ctr_harm" in codes(report)


def test_a_slow_treatment_is_stopped_whatever_its_clicks(reported: Reported) -> None:
    arms = {"teacher": TEACHER, "student": replace(STUDENT, ctr=0.2, latency_us=16_000)}
    report = reported(document(analysis={"goal": "superiority"}), World(arms=arms))
    assert (report.verdict.verdict, codes(report)) == ("stop_harm", {"guardrail_harm"})


def test_lost_units_of_an_arm_make_the_phase_invalid(reported: Reported) -> None:
    arms = {"teacher": TEACHER, "student": replace(STUDENT, ctr=0.2, lost=0.5)}
    report = reported(document(), World(arms=arms, requests=1, units=1500, raw=True))
    assert (report.verdict.verdict, codes(report)) == ("invalid", {"srm"})
    assert report.srm.alarm
    assert report.srm.diagnosis.finding == "capture"
    assert report.srm.diagnosis.recomputed is not None
    assert report.srm.diagnosis.recomputed.mismatches == 0


def test_an_a_a_test_finds_no_difference(reported: Reported) -> None:
    arms = [{"name": "left", "weight": 5000, "model": "student"}, {"name": "right", "weight": 5000, "model": "student"}]
    report = reported(document(arms=arms, mode="aa"), World(arms={}))
    assert (report.verdict.verdict, codes(report)) == ("keep", {"aa_no_difference"})


def test_an_a_a_test_with_a_broken_arm_is_invalid(reported: Reported) -> None:
    arms = [{"name": "left", "weight": 5000, "model": "student"}, {"name": "right", "weight": 5000, "model": "student"}]
    report = reported(document(arms=arms, mode="aa"), World(arms={"right": replace(STUDENT, ctr=0.2)}))
    assert (report.verdict.verdict, codes(report)) == ("invalid", {"aa_difference"})


def test_an_empty_phase_is_inconclusive_and_says_what_is_missing(reported: Reported) -> None:
    report = reported(document(), World(units=0))
    assert report.verdict.verdict == "inconclusive"
    assert {"ctr_unmeasured", "units_to_come"} <= codes(report)
    assert report.verdict.more_units == 400
    assert report.comparisons[0].over_time == ()
    assert report.srm.sequential_p is None
    assert report.provenance.from_ms is None


def test_one_arm_alone_is_a_mismatch_and_no_effect(reported: Reported) -> None:
    report = reported(document(), World(arms={"teacher": TEACHER, "student": replace(STUDENT, lost=1.0)}))
    assert report.verdict.verdict == "invalid"
    assert report.comparisons[0].primary is None
    assert report.arms[1].ctr is None


def test_without_feedback_nothing_is_said_about_clicks(reported: Reported) -> None:
    report = reported(document(), World(feedback=False))
    assert report.verdict.verdict == "inconclusive"
    assert "ctr_unmeasured" in codes(report)
    assert all(row.log_loss is None and row.missing for row in report.quality)
    assert report.arms[0].latency_p99_us is not None


def test_without_probabilities_the_guardrails_that_need_them_stay_open(reported: Reported) -> None:
    report = reported(document(analysis={"margin": 0.3}), World(probabilities=False))
    assert (report.verdict.verdict, codes(report)) == ("inconclusive", {"guardrail_unmeasured"})
    assert "CTR_LOG_PROBABILITIES" in report.verdict.reasons[0].text
    outcomes = {rail.metric: rail.outcome for rail in report.comparisons[0].guardrails}
    assert (outcomes["log_loss"], outcomes["calibration"], outcomes["latency_p99"]) == (
        "unmeasured",
        "unmeasured",
        "pass",
    )


def test_three_arms_are_judged_one_by_one_after_holm(reported: Reported) -> None:
    arms = {"teacher": TEACHER, "student": replace(STUDENT, ctr=0.11), "v2": replace(STUDENT, ctr=0.25)}
    report = reported(document(arms=THREE, analysis={"goal": "superiority"}), World(arms=arms, units=1500))
    assert (report.verdict.verdict, report.verdict.treatment) == ("ship", "v2")
    first, second = (comparison.primary for comparison in report.comparisons)
    assert first is not None
    assert second is not None
    assert second.p_holm == pytest.approx(2 * second.p)
    assert first.p_holm == pytest.approx(max(first.p, 2 * second.p))
    assert [arm.share for arm in report.arms] == [0.4, 0.3, 0.3]


def test_two_versions_of_a_model_in_one_phase_are_told(store: SqlStore) -> None:
    doc = document()
    fill(store, doc, World(units=200))
    swapped = {"teacher": TEACHER, "student": replace(STUDENT, model="student@v2")}
    happen(store, doc, World(units=200, arms=swapped), since_ms=NOW_MS + 20 * 24 * HOUR_MS)
    report = build_report(store)
    assert report.provenance.mixed_models == {"student": ("student@v1", "student@v2")}
    assert "mixed_models" in codes(report)


def test_a_fallback_is_no_second_version_and_counts_for_its_arm(reported: Reported) -> None:
    arms = {"teacher": TEACHER, "student": replace(STUDENT, model="teacher@v1", fallback=0.5)}
    report = reported(document(), World(arms=arms))
    assert report.provenance.mixed_models == {}
    [rate] = [rail for rail in report.comparisons[0].guardrails if rail.metric == "fallback_rate"]
    assert rate.treatment_value == pytest.approx(0.5, abs=0.05)
    effective = report.arms[1].flops_effective
    assert effective is not None
    assert 40e6 < effective < 45e6


def test_dropped_records_make_the_phase_invalid(store: SqlStore) -> None:
    fill(store, document(), World())
    store.write(Batch(losses=[Loss(NOW_MS + 10 * 24 * HOUR_MS, "exposure", 50)]))
    report = build_report(store)
    assert codes(report) == {"exposure_loss"}
    assert report.provenance.exposure_loss == pytest.approx(50 / 4050)


def test_the_same_events_give_the_same_bytes(store: SqlStore, tmp_path: Path) -> None:
    fill(store, document(), World(units=300))
    store.write(Batch(shadows=shadows(20)))
    first = build_report(store)
    again = open_store(f"sqlite:{tmp_path}/events.sqlite3", ATTRIBUTION_MS)
    second = build_report(again)
    again.close()
    assert to_json(replace(first, generated_at="now")) == to_json(replace(second, generated_at="now"))
    assert to_json(first) != to_json(replace(first, generated_at="then"))


def test_each_look_is_what_a_report_made_then_would_have_said(store: SqlStore) -> None:
    """The looks are added up; this reads the store anew for some of them."""
    fill(store, document(), World(units=600))
    looks = build_report(store).comparisons[0].over_time
    assert len(looks) == 30
    for look in looks[4::8]:
        [then] = build_report(store, until_ms=look.ts_ms + 1).comparisons
        assert then.primary is not None
        assert look.estimate == pytest.approx(then.primary.estimate, rel=1e-12)
        assert look.fixed == pytest.approx(then.primary.fixed)
        assert look.anytime == pytest.approx(then.primary.anytime)
        assert look.n == then.primary.n


def test_a_report_until_a_time_knows_nothing_after_it(store: SqlStore) -> None:
    fill(store, document(), World(units=600))
    until_ms = NOW_MS + 5 * 24 * HOUR_MS
    report = build_report(store, until_ms=until_ms)
    assert report.provenance.until_ms is not None
    assert report.provenance.until_ms < until_ms
    assert 200 < report.provenance.units < 400


def test_history_sharpens_the_effect_and_the_verdict_rests_on_the_plain_one(store: SqlStore) -> None:
    arms = {"teacher": TEACHER, "student": STUDENT}
    same = dict.fromkeys(arms, STUDENT)
    fill(
        store,
        document(phase=1),
        World(units=1500, requests=6, spread=1.5, arms=same),
        since_ms=NOW_MS - 40 * 24 * HOUR_MS,
    )
    fill(store, document(phase=2), World(units=1500, requests=6, spread=1.5, arms=arms, seed=2))
    [comparison] = build_report(store).comparisons
    assert comparison.primary is not None
    assert comparison.cuped is not None
    assert comparison.cupac is not None
    assert comparison.cuped.covered == 1.0
    assert comparison.cuped.variance_reduction > 0.3
    assert comparison.cuped.lift.se < 0.9 * comparison.primary.se
    assert comparison.over_time[-1].estimate == comparison.primary.estimate


def test_without_history_nothing_is_adjusted(reported: Reported) -> None:
    [comparison] = reported(document(), World(units=200)).comparisons
    assert (comparison.cuped, comparison.cupac) == (None, None)


def test_requests_still_being_answered_are_no_errors(store: SqlStore) -> None:
    fill(store, document(), World(units=300))
    last_ms = build_report(store).provenance.until_ms
    assert last_ms is not None
    about = {"experiment": "rank", "arm": "student"}
    store.write(Batch(exposures=[exposure(f"p{n}", f"user-{n}", ts_ms=last_ms + 1, **about) for n in range(20)]))
    [rate] = [rail for rail in build_report(store).comparisons[0].guardrails if rail.metric == "error_rate"]
    assert rate.treatment_value == 0.0
    late = [
        answered("p0", ts_ms=last_ms + 60_000),
    ]
    store.write(Batch(answers=late, exposures=[exposure("q", "user-1", ts_ms=last_ms + 60_000, **about)]))
    [rate] = [rail for rail in build_report(store).comparisons[0].guardrails if rail.metric == "error_rate"]
    assert rate.treatment_value is not None
    assert rate.treatment_value > 0


def test_shadow_comparisons_of_the_phases_time_are_summed_up(store: SqlStore) -> None:
    fill(store, document(), World(units=50))
    compared = shadows(500)
    store.write(Batch(shadows=compared))
    [row] = build_report(store).shadow
    gaps = [one.mean_abs_probability_gap for one in compared]
    assert (row.primary, row.shadow, row.n) == ("student@v1", "teacher@v1", 500)
    assert row.probability_gap.p95 == pytest.approx(float(np.quantile(gaps, 0.95)))
    assert row.top_1_flips == pytest.approx(np.mean([one.top_1_flip for one in compared]))
    assert row.calibration_gap == pytest.approx(sum(one.shadow_sum for one in compared) / 500 - 1)


def test_the_ramp_moves_no_hash_and_the_margin_does(store: SqlStore) -> None:
    hashes = []
    for phase, given in enumerate([{}, {"ramp": 5.0}, {"analysis": {"margin": 0.2}}], start=1):
        doc = document(salt=f"s{phase}", phase=phase, **given)
        store.add_revision(store.latest_revision(), "put", "", doc.model_dump(mode="json"))
        report = build_report(store, "rank", phase)
        hashes.append((report.provenance.config_hash, report.plan.margin))
    assert len({one for one, _ in hashes}) == 3
    same = document(salt="s3", phase=3, analysis={"margin": 0.2}, ramp=1.0)
    store.add_revision(3, "put", "ramp", same.model_dump(mode="json"))
    again = build_report(store, "rank", 3).provenance
    assert again.config_hash == hashes[2][0]
    assert [one.revision for one in again.revisions] == [3, 4]


def test_what_is_not_known_is_refused_with_what_is(store: SqlStore) -> None:
    with pytest.raises(UnknownPhaseError, match="no experiment is in force"):
        build_report(store)
    store.add_revision(0, "put", "", document().model_dump(mode="json"))
    with pytest.raises(UnknownPhaseError, match="got nothing, expected one of: rank phase 1"):
        build_report(store, "nothing")
    with pytest.raises(UnknownPhaseError, match="got rank phase 7, expected one of: rank phase 1"):
        build_report(store, "rank", 7)


def test_json_has_null_for_what_is_not_finite_and_no_nan(reported: Reported) -> None:
    report = reported(document(), World(units=12, candidates=1, requests=1))
    decoded = orjson.loads(to_json(report))
    assert b"NaN" not in to_json(report)
    assert b"Infinity" not in to_json(report)
    assert {"verdict", "arms", "comparisons", "srm", "quality", "shadow", "provenance"} <= set(decoded)
    open_ended = replace(report.comparisons[0].over_time[-1], anytime=(float("-inf"), float("inf")))
    comparison = replace(report.comparisons[0], over_time=(open_ended,))
    again: Any = orjson.loads(to_json(replace(report, comparisons=(comparison,))))
    assert again["comparisons"][0]["over_time"][0]["anytime"] == [None, None]


def test_looks_with_hardly_any_units_prove_nothing(store: SqlStore) -> None:
    """The smallest p of all looks is kept for good, so it must not come from the first few units."""
    fill(store, document(), World(units=600, arms=BETTER))
    looks = build_report(store).comparisons[0].over_time
    few = [look.p_anytime for look in looks if look.n < 200 and look.p_anytime is not None]
    assert few
    assert set(few) == {1.0}
    assert looks[-1].p_anytime is not None
    assert looks[-1].p_anytime < 1e-3
