"""Guardrails on arrays made by hand, so that only the arm differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from service.events.reading import PhaseRows
from service.experiment.document import Analysis
from service.experiment.report.arrays import Phase
from service.experiment.report.guarding import guardrails
from service.experiment.report.schema_arms import GuardrailView

UNITS = 4000


def phase(**given: Any) -> Phase:
    """One request and one impression of each unit, arms by turns; `given` replaces arrays."""
    rng = np.random.default_rng(5)
    number_U = np.arange(UNITS)
    probability_U = rng.beta(2, 18, UNITS)
    fields: dict[str, Any] = {
        "arms": ("c", "t"),
        "models": ("m@1",),
        "unit_hash_U": tuple(int(unit).to_bytes(16) for unit in number_U),
        "unit_E": number_U,
        "arm_E": (number_U % 2).astype(np.int16),
        "ts_ms_E": number_U * 1000,
        "propensity_E": np.full(UNITS, 0.5),
        "n_candidates_E": np.ones(UNITS, np.int64),
        "model_E": np.zeros(UNITS, np.int16),
        "fallback_E": np.zeros(UNITS, np.bool_),
        "status_E": np.full(UNITS, 200, np.int16),
        "latency_us_E": rng.lognormal(6, 0.3, UNITS),
        "exposure_I": number_U,
        "position_I": np.zeros(UNITS, np.int64),
        "clicked_I": rng.random(UNITS) < probability_U,
        "probability_I": probability_U,
        "ts_ms_I": number_U * 1000 + 500,
        **{f"history_{name}_U": np.zeros(UNITS) for name in ("clicks", "impressions", "expected")},
        "losses": 0,
        "forced": 0,
        "reasons": {"assigned": UNITS},
        "multi_arm_units": 0,
        "strays": 0,
    }
    return Phase.of(PhaseRows(**{**fields, **given}), ("c", "t"))


def found(given: Phase, **analysis: Any) -> Mapping[str, GuardrailView]:
    return {rail.metric: rail for rail in guardrails(given, 1, Analysis(**analysis))}


TREATED = np.arange(UNITS) % 2 == 1


def test_equal_arms_pass_what_this_many_units_can_tell() -> None:
    rails = found(phase(), latency_p99_margin=0.3, error_rate_margin=0.002, log_loss_margin=0.3, calibration_margin=0.5)
    assert {rail.outcome for rail in rails.values()} == {"pass"}


def test_none_in_so_many_units_bounds_a_rate_exactly() -> None:
    rail = found(phase())["error_rate"]
    assert rail.fixed is not None
    assert (1 - rail.fixed[1]) ** (UNITS // 2) == pytest.approx(0.025)
    assert rail.outcome == "undecided"


def test_a_failed_request_counts_for_its_arm() -> None:
    status_E = np.where(TREATED & (np.arange(UNITS) % 10 == 1), 504, 200).astype(np.int16)
    rail = found(phase(status_E=status_E))["error_rate"]
    assert (rail.treatment_value, rail.control_value) == (0.2, 0.0)
    assert (rail.outcome, rail.breached) == ("fail", True)


def test_a_slower_tail_is_seen_where_the_median_is_the_same() -> None:
    rng = np.random.default_rng(6)
    latency_E = rng.lognormal(6, 0.3, UNITS) * np.where(TREATED & (rng.random(UNITS) < 0.05), 8, 1)
    rail = found(phase(latency_us_E=latency_E))["latency_p99"]
    assert rail.harm is not None
    assert rail.harm > 1
    assert rail.outcome == "fail"


def test_requests_without_an_answer_have_no_latency() -> None:
    latency_E = np.where(np.arange(UNITS) < 3000, 100.0 + np.arange(UNITS), np.nan)
    assert found(phase(latency_us_E=latency_E))["latency_p99"].control_value == pytest.approx(3070, abs=10)


def test_more_clicks_are_no_worse_log_loss() -> None:
    """Both arms know their probabilities exactly; one has more clicks, and therefore more plain log loss."""
    rng = np.random.default_rng(7)
    probability_I = rng.beta(2, 18, UNITS) * np.where(TREATED, 2.0, 1.0)
    clicked_I = rng.random(UNITS) < probability_I
    given = phase(probability_I=probability_I, clicked_I=clicked_I)
    plain_I = -np.log(np.where(clicked_I, probability_I, 1 - probability_I))
    assert plain_I[TREATED].mean() > 1.3 * plain_I[~TREATED].mean()
    rail = found(given, log_loss_margin=0.1)["log_loss"]
    assert rail.harm is not None
    assert abs(rail.harm) < 0.08
    assert not rail.deteriorated


def test_normalized_log_loss_has_the_spread_that_resampling_units_finds() -> None:
    given = phase()
    rail = found(given)["log_loss"]
    assert rail.fixed is not None
    p_I, y_I = given.rows.probability_I, given.rows.clicked_I
    rng = np.random.default_rng(8)

    def entropy(chosen_I: np.ndarray) -> float:
        ctr = y_I[chosen_I].mean()
        loss = -np.log(np.where(y_I[chosen_I], p_I[chosen_I], 1 - p_I[chosen_I])).mean()
        return float(loss / -(ctr * np.log(ctr) + (1 - ctr) * np.log(1 - ctr)))

    odd, even = np.flatnonzero(TREATED), np.flatnonzero(~TREATED)
    drawn = [entropy(rng.choice(odd, odd.size)) / entropy(rng.choice(even, even.size)) - 1 for _ in range(1500)]
    half = (rail.fixed[1] - rail.fixed[0]) / 2
    assert half / 1.96 == pytest.approx(np.std(drawn), rel=0.08)
    assert rail.harm == pytest.approx(entropy(odd) / entropy(even) - 1, rel=1e-9)


def test_a_model_that_overstates_is_seen_in_calibration() -> None:
    p_I = phase().rows.probability_I
    rail = found(phase(probability_I=np.where(TREATED, 3 * p_I, p_I)), calibration_margin=0.1)["calibration"]
    assert rail.harm is not None
    assert rail.harm == pytest.approx(2.0, abs=0.4)
    assert rail.outcome == "fail"


def test_what_cannot_be_measured_says_why() -> None:
    rails = found(phase(probability_I=np.full(UNITS, np.nan), latency_us_E=np.full(UNITS, np.nan)))
    assert {metric for metric, rail in rails.items() if rail.outcome == "unmeasured"} == {
        "latency_p99",
        "log_loss",
        "calibration",
    }
    assert "CTR_LOG_PROBABILITIES" in (rails["log_loss"].missing or "")
    assert all(rail.missing is None for rail in rails.values() if rail.outcome != "unmeasured")
