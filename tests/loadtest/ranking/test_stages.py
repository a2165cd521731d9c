from __future__ import annotations

import math
from itertools import islice, pairwise

import numpy as np
import pytest

from loadtest.ranking.stages import CONSTANT, POISSON, Arrival, Stage, Timeline, arrivals, default_stages, parse_stages


def test_stages_are_read_as_written_and_warm_ups_are_not_measured() -> None:
    found = parse_stages("warm-up:2@10, low:1.5@20,50%:3@0.5,equal load:1@7, warm-up again:1@9")
    assert found == [
        Stage("warm-up", 2, 10),
        Stage("low", 1.5, 20),
        Stage("50%", 3, 0.5),
        Stage("equal load", 1, 7),
        Stage("warm-up again", 1, 9),
    ]
    assert [stage.measured for stage in found] == [False, True, True, True, False]


@pytest.mark.parametrize("text", ["low", "low:3", "low:0@5", "low:3@0", "low:3@-1", ":3@4", "low:3@4,,", "low:x@4"])
def test_what_is_no_stage_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected NAME:SECONDS@LOAD"):
        parse_stages(text)


def test_warm_ups_alone_measure_nothing() -> None:
    with pytest.raises(ValueError, match="expected a stage by another name"):
        parse_stages("warm-up:2@10")


def test_without_stages_one_goes_on_after_the_warm_up_until_the_run_time_or_for_ever() -> None:
    assert default_stages(5, 60, 50) == [Stage("warm-up", 5, 50), Stage("steady", 60, 50)]
    assert default_stages(0, None, 50) == [Stage("steady", math.inf, 50)]


def test_a_stage_begins_where_the_one_before_it_ends() -> None:
    timeline = Timeline([Stage("a", 2, 1), Stage("b", 3, 1)])
    at = [timeline.stage_at(second) for second in (0, 1.999, 2, 4.999, 5)]
    assert at == [0, 0, 1, 1, 2]
    assert (timeline.start_of(0), timeline.start_of(1), timeline.seconds) == (0, 2, 5)


def test_constant_arrivals_are_due_at_equal_gaps_and_belong_to_their_stage() -> None:
    timeline = Timeline([Stage("a", 1, 4), Stage("b", 0.5, 10)])
    due = list(arrivals(timeline, CONSTANT, seed=1))
    assert due[:5] == [Arrival(0, 0), Arrival(0.25, 0), Arrival(0.5, 0), Arrival(0.75, 0), Arrival(1, 1)]
    assert len(due) == 4 + 5
    assert all(timeline.stage_at(arrival.due_s) == arrival.stage for arrival in due)


def test_an_endless_stage_has_arrivals_for_ever() -> None:
    timeline = Timeline([Stage("steady", math.inf, 100)])
    assert [round(arrival.due_s * 100) for arrival in islice(arrivals(timeline, CONSTANT, seed=1), 500)] == [
        *range(500)
    ]


def test_poisson_arrivals_have_the_rate_and_exponential_gaps_and_are_the_seed_s() -> None:
    timeline = Timeline([Stage("a", 60, 50), Stage("b", 40, 50)])
    found = list(arrivals(timeline, POISSON, seed=1))
    assert all(timeline.stage_at(arrival.due_s) == arrival.stage for arrival in found)
    due = [arrival.due_s for arrival in found]
    gaps = np.array([later - earlier for earlier, later in pairwise(due)])
    assert len(due) == pytest.approx(5000, abs=300)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.06)
    assert due == [arrival.due_s for arrival in arrivals(timeline, POISSON, seed=1)]
    assert due != [arrival.due_s for arrival in arrivals(timeline, POISSON, seed=2)]
