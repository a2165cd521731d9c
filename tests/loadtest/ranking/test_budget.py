from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from loadtest.ranking.budget import Budget, Verdict, judged
from loadtest.ranking.record import StageFigures

Figures = Callable[..., StageFigures]
BUDGET = Budget(p99_ms=10, error_ratio=0.01)


def test_a_stage_within_its_budget_meets_it(figures: Figures) -> None:
    assert judged([figures(), figures(name="high")], BUDGET) == (Verdict.MET, [])


@pytest.mark.parametrize(
    ("p99_ms", "errors", "verdict"),
    [
        (10.0, 10, Verdict.MET),
        (math.nextafter(10, 11), 0, Verdict.MISSED),
        (1.0, 11, Verdict.MISSED),
        (math.nan, 0, Verdict.MISSED),
    ],
)
def test_the_budget_itself_is_still_met_and_nothing_beyond_it(
    figures: Figures, p99_ms: float, errors: int, verdict: Verdict
) -> None:
    stage = figures(p99_ms=p99_ms, errors=errors, error_ratio=errors / 1000)
    assert judged([stage], BUDGET)[0] is verdict


def test_one_stage_over_its_budget_is_enough_and_is_named(figures: Figures) -> None:
    verdict, reasons = judged([figures(), figures(name="high", p99_ms=12.345)], BUDGET)
    assert verdict is Verdict.MISSED
    assert reasons == ["high: p99 is 12.35 ms, expected at most 10"]


def test_without_a_latency_budget_any_latency_will_do(figures: Figures) -> None:
    assert judged([figures(p99_ms=1e9)], Budget())[0] is Verdict.MET


def test_errors_say_what_they_were(figures: Figures) -> None:
    stage = figures(errors=500, error_ratio=0.5, why={"status 503": 400, "TimeoutError": 100})
    assert judged([stage], BUDGET)[1] == [
        "low: 500 of 1000 requests (50.00%) failed, expected at most 1.00%: status 503 x 400, TimeoutError x 100"
    ]


def test_a_run_that_asked_nothing_has_met_nothing(figures: Figures) -> None:
    verdict, reasons = judged([figures(asked=0, p99_ms=1.0)], BUDGET)
    assert verdict is Verdict.MISSED
    assert "nothing was asked" in reasons[0]


def test_a_latency_is_no_result_where_the_generator_was_the_bottleneck(figures: Figures) -> None:
    verdict, reasons = judged([figures(p99_ms=99, bottleneck="the generator took 0.99 of its core")], BUDGET)
    assert verdict is Verdict.NOT_VALID
    assert reasons == ["low: the generator took 0.99 of its core; result not valid"]


def test_wrong_answers_are_wrong_however_busy_the_generator_was(figures: Figures) -> None:
    stage = figures(errors=20, error_ratio=0.02, bottleneck="its event loop lagged")
    verdict, reasons = judged([stage], BUDGET)
    assert verdict is Verdict.MISSED
    assert "result not valid" in reasons[1]
