"""Which form answers small requests, and how small they are."""

import time

import numpy as np

from export.timing import faster_up_to, small_form, time_scorers
from service.bundle import Ids
from service.scoring import Logits


class Takes:
    """A scorer that takes a fixed time and a time per candidate, in microseconds."""

    name = "takes"

    def __init__(self, fixed: float, each: float) -> None:
        self._fixed, self._each = fixed, each

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:  # noqa: ARG002 - as every scorer
        until = time.perf_counter_ns() + 1e3 * (self._fixed + self._each * len(candidate_ids))
        while time.perf_counter_ns() < until:
            pass
        return np.zeros(len(candidate_ids), np.float32)


def test_times_are_microseconds_of_a_run() -> None:
    timings = time_scorers({"a": Takes(100, 2), "b": Takes(0, 4)}, [3, 3], 1, (50,))
    assert 200 <= timings["a"]["50"] < 400
    assert 200 <= timings["b"]["50"] < 400


def test_the_small_form_ends_where_the_other_becomes_faster() -> None:
    """10 + 6 N crosses 250 + 2 N at N = 60; beside a busy neighbour a timing may be off by a third."""
    assert 20 <= faster_up_to(Takes(10, 6), Takes(250, 2), [3, 3], 1) <= 150


def test_a_small_form_must_save_a_tenth_at_one_candidate() -> None:
    timings = {"kept": {"1": 100.0, "200": 10.0}, "rows": {"1": 91.0, "200": 20.0}, "slow": {"1": 300.0, "200": 30.0}}
    assert small_form(timings, "kept") is None
    timings["rows"]["1"] = 89.0
    assert small_form(timings, "kept") == "rows"
