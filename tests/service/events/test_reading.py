from __future__ import annotations

import numpy as np

from service.events.reading import read_phase, read_shadows
from service.events.records import Loss
from service.events.sql import SqlStore
from service.events.store import Batch
from tests.service.events.builders import ATTRIBUTION_MS, NOW_MS, answered, exposure, feedback, shadow, unit_hash


def test_an_empty_store_reads_as_empty_arrays(store: SqlStore) -> None:
    rows = read_phase(store, "e", 1)
    assert (len(rows.unit_E), len(rows.exposure_I), len(rows.history_clicks_U)) == (0, 0, 0)
    assert (rows.arms, rows.models, rows.reasons, rows.multi_arm_units) == ((), (), {}, 0)
    assert rows.arm_E.dtype == np.int16


def test_exposures_are_joined_with_their_answers(store: SqlStore) -> None:
    exposures = [
        exposure("r1", "u1", arm="teacher", n_candidates=7),
        exposure("r2", "u2", arm="student", propensity=0.25),
        exposure("r3", "u1", arm="teacher"),
    ]
    answers = [
        answered("r3", model="", status=504, latency_us=9.0),
        answered("r1", model="t@v1", fallback=True, latency_us=1.5),
    ]
    store.write(Batch(exposures=exposures, answers=answers))
    rows = read_phase(store, "e", 1)
    assert rows.arms == ("student", "teacher")
    assert rows.arm_E.tolist() == [1, 0, 1]
    assert rows.unit_E.tolist() == [0, 1, 0]
    assert list(rows.unit_hash_U) == [unit_hash("u1"), unit_hash("u2")]
    assert rows.propensity_E.tolist() == [0.5, 0.25, 0.5]
    assert rows.n_candidates_E.tolist() == [7, 3, 3]
    assert rows.models == ("t@v1",)
    assert rows.model_E.tolist() == [0, -1, -1]
    assert rows.fallback_E.tolist() == [True, False, False]
    assert rows.status_E.tolist() == [200, 0, 504]
    np.testing.assert_array_equal(rows.latency_us_E, [1.5, np.nan, 9.0])


def test_models_are_numbered_in_the_order_of_their_names(store: SqlStore) -> None:
    names = ["z@1", "a@1", "m@1"]
    exposures = [exposure(name) for name in names]
    store.write(Batch(exposures=exposures, answers=[answered(name, model=name) for name in names]))
    rows = read_phase(store, "e", 1)
    assert [rows.models[number] for number in rows.model_E] == names
    assert rows.models == ("a@1", "m@1", "z@1")


def test_a_repeated_request_id_counts_once_and_as_first_exposed_and_answered(store: SqlStore) -> None:
    repeated = [exposure("r", "u1", arm="student"), exposure("r", "u2", arm="teacher")]
    store.write(Batch(exposures=repeated, answers=[answered("r", model="a@1"), answered("r", model="b@1")]))
    rows = read_phase(store, "e", 1)
    assert (rows.arms, rows.models, rows.unit_E.tolist()) == (("student",), ("a@1",), [0])


def test_other_experiments_phases_reasons_and_later_times_are_left_out(store: SqlStore) -> None:
    others = [
        exposure("r1", experiment="other"),
        exposure("r2", phase=2),
        exposure("r3", reason="forced"),
        exposure("r4", reason="ramp"),
        exposure("r5", ts_ms=NOW_MS + 50),
    ]
    asked = exposure("r6")
    events = [feedback("r6", "#0"), feedback("r6", "#1", ts_server_ms=NOW_MS + 50)]
    store.write(Batch(exposures=[*others, asked], feedback=[*events, feedback("r6", ts_server_ms=NOW_MS + 9)]))
    store.write(Batch(feedback=[feedback("r6", "#2", ts_server_ms=NOW_MS + 9)]))
    rows = read_phase(store, "e", 1, until_ms=NOW_MS + 50)
    assert len(rows.unit_E) == 1
    assert rows.position_I.tolist() == [2]
    assert rows.reasons == {"assigned": 1, "forced": 1, "ramp": 1}
    assert rows.forced == 1


def test_item_and_position_of_a_candidate_are_one_impression_and_a_click_makes_it_clicked(store: SqlStore) -> None:
    request = answered("r", probabilities=[0.125, 0.25, 0.5], items=["a", 7, "7"])
    events = [
        feedback("r", "#1", ts_server_ms=NOW_MS + 20),
        feedback("r", "7", "click", ts_server_ms=NOW_MS + 10),
        feedback("r", '"7"'),
        feedback("r", "#0"),
        feedback("r", '"a"'),
    ]
    store.write(Batch(exposures=[exposure("r")], answers=[request], feedback=events))
    rows = read_phase(store, "e", 1)
    assert rows.position_I.tolist() == [0, 1, 2]
    assert rows.clicked_I.tolist() == [False, True, False]
    assert rows.probability_I.tolist() == [0.125, 0.25, 0.5]
    assert rows.ts_ms_I.tolist() == [NOW_MS + 1000, NOW_MS + 10, NOW_MS + 1000]
    assert rows.exposure_I.tolist() == [0, 0, 0]


def test_feedback_on_what_was_no_candidate_is_counted_and_left_out(store: SqlStore) -> None:
    events = [feedback("r", "#3"), feedback("r", '"zz"', "click"), feedback("r", "#2")]
    request = answered("r", probabilities=[0.1] * 3, items=["a", "b", "c"])
    store.write(Batch(exposures=[exposure("r")], answers=[request], feedback=events))
    rows = read_phase(store, "e", 1)
    assert rows.position_I.tolist() == [2]
    assert rows.strays == 2


def test_items_of_a_request_stored_without_items_stay_apart_and_have_no_position(store: SqlStore) -> None:
    events = [feedback("r", '"a"'), feedback("r", '"b"'), feedback("r", '"b"', "click")]
    store.write(Batch(exposures=[exposure("r")], answers=[answered("r")], feedback=events))
    rows = read_phase(store, "e", 1)
    assert rows.position_I.tolist() == [-1, -1]
    assert sorted(rows.clicked_I.tolist()) == [False, True]
    assert np.isnan(rows.probability_I).all()


def test_late_feedback_is_left_out_also_when_its_exposure_turned_up_after_it(store: SqlStore) -> None:
    late = NOW_MS + ATTRIBUTION_MS + 1
    store.write(Batch(feedback=[feedback("r", "#0", ts_server_ms=late), feedback("r", "#1", ts_server_ms=late - 1)]))
    store.write(Batch(exposures=[exposure("r")]))
    store.write(Batch(feedback=[feedback("r", "#2", ts_server_ms=late)]))
    assert read_phase(store, "e", 1).position_I.tolist() == [1]


def test_history_is_what_the_same_units_did_before_their_first_exposure(store: SqlStore) -> None:
    day = 86_400_000
    before = [
        exposure("h1", "u1", ts_ms=NOW_MS - 3 * day, reason="layer", experiment="", phase=0),
        exposure("h2", "u2", ts_ms=NOW_MS - 2 * day, experiment="older", phase=4),
        exposure("h3", "stranger", ts_ms=NOW_MS - 2 * day),
        exposure("h4", "u1", ts_ms=NOW_MS + 5, reason="forced"),
    ]
    answers = [answered(name, probabilities=[0.5, 0.25, 0.125]) for name in ("h1", "h2", "h4")]
    events = [
        feedback("h1", "#0", "click", ts_server_ms=NOW_MS - 2 * day),
        feedback("h1", "#1", ts_server_ms=NOW_MS - 2 * day),
        feedback("h2", "#2", ts_server_ms=NOW_MS - 2 * day),
        feedback("h2", "#1", "click", ts_server_ms=NOW_MS - day - 1),
        feedback("h4", "#1", "click"),
    ]
    phase = [exposure("r1", "u1", ts_ms=NOW_MS), exposure("r2", "u2", ts_ms=NOW_MS), exposure("r3", "u3")]
    store.write(Batch(exposures=before + phase, answers=answers, feedback=events))
    rows = read_phase(store, "e", 1)
    assert list(rows.unit_hash_U) == [unit_hash("stranger"), unit_hash("u1"), unit_hash("u2"), unit_hash("u3")]
    assert rows.history_clicks_U.tolist() == [0, 1, 1, 0]
    assert rows.history_impressions_U.tolist() == [0, 2, 2, 0]
    assert rows.history_expected_U.tolist() == [0, 0.75, 0.375, 0]


def test_a_click_that_came_after_the_phase_began_is_no_history(store: SqlStore) -> None:
    earlier = exposure("h", "u", ts_ms=NOW_MS - 1000, reason="layer", experiment="", phase=0)
    phase = [exposure("r1", "u"), exposure("r2", "begins later", ts_ms=NOW_MS + 5000)]
    store.write(Batch(exposures=[earlier, *phase], feedback=[feedback("h", "#0", "click")]))
    assert read_phase(store, "e", 1).history_impressions_U.tolist() == [0, 0]


def test_losses_of_exposures_and_answers_since_the_phase_began_are_added_up(store: SqlStore) -> None:
    losses = [
        Loss(NOW_MS - 1, "exposure", 100),
        Loss(NOW_MS + 1, "exposure", 3),
        Loss(NOW_MS + 2, "answer", 4),
        Loss(NOW_MS + 3, "shadow", 50),
    ]
    store.write(Batch(exposures=[exposure()], losses=losses))
    assert read_phase(store, "e", 1).losses == 7


def test_units_in_several_arms_are_counted(store: SqlStore) -> None:
    exposures = [exposure("r1", "u1", arm="a"), exposure("r2", "u1", arm="b"), exposure("r3", "u2", arm="b")]
    store.write(Batch(exposures=exposures))
    assert read_phase(store, "e", 1).multi_arm_units == 1


def test_shadow_comparisons_come_back_as_they_went_in(store: SqlStore) -> None:
    first, second = shadow("r1", kendall_tau_b=0.5), shadow("r2", ts_ms=NOW_MS + 1, top_1_flip=False)
    store.write(Batch(shadows=[first, second]))
    assert read_shadows(store) == [first, second]
    assert read_shadows(store, since_ms=NOW_MS + 1) == [second]
    assert read_shadows(store)[0].top_1_flip is True
