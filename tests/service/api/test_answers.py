from __future__ import annotations

import json
import math

import numpy as np
import pytest

from service.api.answers import answer, probabilities_of
from service.api.problems import ProblemError
from service.bundle import Calibration


def sigmoid(number: float) -> float:
    """The definition, in the form that does not overflow."""
    return 1 / (1 + math.exp(-number)) if number >= 0 else math.exp(number) / (1 + math.exp(number))


def test_probability_is_the_sigmoid_of_the_calibrated_logit() -> None:
    logits_N = np.array([-8.0, -1.5, 0.0, 0.3, 9.0], np.float32)
    got_N = probabilities_of(logits_N, Calibration(slope=0.8, intercept=-0.25))
    expected_N = [sigmoid(0.8 * float(logit) - 0.25) for logit in logits_N]
    np.testing.assert_allclose(got_N, expected_N, rtol=1e-6)
    assert got_N.dtype == np.float32


@pytest.mark.filterwarnings("error")
def test_extreme_logits_stay_in_range_and_small_probabilities_stay_exact() -> None:
    largest = np.finfo(np.float32).max
    got_N = probabilities_of(np.array([-largest, -80.0, -20.0, 800.0, largest], np.float32), Calibration())
    assert got_N[0] == 0.0
    np.testing.assert_allclose(got_N[1:3], [math.exp(-80), sigmoid(-20)], rtol=1e-6)
    assert got_N[3:].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_not_finite_is_a_server_error_with_its_position(bad: float) -> None:
    with pytest.raises(ProblemError) as caught:
        probabilities_of(np.array([0.0, bad, 1.0], np.float32), Calibration())
    assert caught.value.problem.status == 500
    assert caught.value.extensions == {"position": 1}


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_calibration_that_overflows_is_a_server_error() -> None:
    with pytest.raises(ProblemError):
        probabilities_of(np.array([10.0], np.float32), Calibration(slope=1e308))


def test_a_written_probability_reads_back_as_the_same_float32() -> None:
    probabilities_N = np.array([0.1, 1 / 3, 1e-9, 0.0, 1.0], np.float32)
    body = json.loads(
        answer(request_id="r", arm="student", model="m@1", probabilities_N=probabilities_N, fallback=False)
    )
    np.testing.assert_array_equal(np.array(body.pop("probabilities"), np.float32), probabilities_N)
    assert body == {"request_id": "r", "arm": "student", "model": "m@1", "fallback": False}
