from __future__ import annotations

import numpy as np
import orjson
import pytest

from loadtest.traffic.truth import Truth

NONE = np.zeros(2, bool)


def test_what_was_shown_adds_up_by_arm() -> None:
    truth = Truth()
    truth.shown("control", "u1", np.array([0.1, 0.3]), np.array([True, False]))
    truth.shown("control", "u2", np.array([0.2]), np.array([True]))
    truth.shown("treatment", "u3", np.array([0.5, 0.1]), NONE)
    control = truth.arms["control"]
    assert (control.requests, control.impressions, control.clicks, len(control.units)) == (2, 3, 2, 2)
    assert control.true_rate == pytest.approx(0.2)
    assert truth.shown_lift("treatment", "control") == pytest.approx(0.3 / 0.2 - 1)


def test_what_arms_cause_is_summed_over_the_same_requests_whoever_was_drawn_into_them() -> None:
    truth = Truth()
    truth.shown("control", "rarely clicks", np.array([0.1]), np.array([False]))
    truth.shown("treatment", "often clicks", np.array([0.44]), np.array([True]))
    for probability in (0.1, 0.4):
        truth.caused("control", np.array([probability]))
        truth.caused("treatment", np.array([1.1 * probability]))
    assert truth.shown_lift("treatment", "control") == pytest.approx(3.4)
    assert truth.caused_lift("treatment", "control") == pytest.approx(0.1)
    assert truth.caused_rate("control") == pytest.approx(0.25)


def test_a_unit_in_two_arms_is_noticed() -> None:
    truth = Truth()
    for arm, unit in [("a", "u1"), ("b", "u2"), ("a", "u1"), ("b", "u3")]:
        truth.shown(arm, unit, np.array([0.1]), np.array([False]))
    assert truth.units_in_several_arms == 0
    truth.shown("b", "u1", np.array([0.1]), np.array([False]))
    assert truth.units_in_several_arms == 1


def test_the_intraclass_correlation_is_the_variance_between_units_over_that_of_a_click() -> None:
    truth = Truth()
    for unit, rate in [("u1", 0.1), ("u2", 0.3)]:
        truth.shown("a", unit, np.full(2, rate), NONE)
    assert truth.intraclass_correlation() == pytest.approx(0.01 / (0.2 * 0.8))


def test_the_file_says_null_for_what_was_never_asked() -> None:
    truth = Truth()
    truth.shown("control", "u1", np.array([0.1, 0.3]), NONE)
    truth.shown("treatment", "u2", np.array([0.1, 0.4]), NONE)
    described = orjson.loads(orjson.dumps(truth.to_json("treatment", "control")))
    assert described["caused_lift"] is None
    assert described["shown_lift"] == pytest.approx(0.25)
    assert described["arms"]["control"]["true_ctr"] == pytest.approx(0.2)
    assert "shown_lift" not in truth.to_json("elsewhere", "control")
