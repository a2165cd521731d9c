"""Ratios are of one repetition, figures are medians, a verdict says what was found."""

from __future__ import annotations

import pytest

from export.bench_shapes import SHAPES
from loadtest.bench import wire
from loadtest.bench.measure import NOT_SUPPORTED, Outcome, Steady
from loadtest.bench.points import ALONE, CENTRE, Point
from loadtest.bench.summary import ShapeResult, Target, figures, targets
from loadtest.bench.wrk import Load


def point(server: str, form: str, at: tuple[int, int] = CENTRE) -> Point:
    return Point(candidates=at[0], connections=at[1], server=server, form=form)


REFERENCE = point("reference", wire.ID_ROWS.name)
ITEMS = point("native", wire.ITEM_IDS.name)


def outcome(of: Point, repetition: int, rate: float, **rest: float) -> Outcome:
    load = Load(requests_per_s=rate, p50_ms=rest.get("p50", 1.0), p99_ms=rest.get("p99", 2.0), requests=10)
    return Outcome(
        point=of, repetition=repetition, load=load, request_bytes=100, cpu_us=1e5 / rate, stages_us={"infer": rate / 10}
    )


def test_a_ratio_is_taken_within_a_repetition_and_the_median_counts() -> None:
    """The machine was ten times slower in the second repetition: ratios do not notice, medians of rates would."""
    rates = [(100.0, 800.0), (10.0, 60.0), (100.0, 700.0)]
    outcomes = [outcome(REFERENCE, i, reference) for i, (reference, _ours) in enumerate(rates)]
    outcomes += [outcome(ITEMS, i, ours) for i, (_reference, ours) in enumerate(rates)]
    found = figures(outcomes)[ITEMS]
    assert found.ratio is not None
    assert (found.ratio.median, found.ratio.low, found.ratio.high) == (7.0, 6.0, 8.0)
    assert found.cpu_ratio == pytest.approx(7.0)
    assert found.requests_per_s == 700.0
    assert found.stages_us == {"infer": 70.0}
    own = figures(outcomes)[REFERENCE].ratio
    assert own is not None
    assert own.low == own.high == 1.0


def test_the_reference_of_another_point_or_repetition_is_none() -> None:
    elsewhere = point("reference", wire.ID_ROWS.name, (200, 1))
    found = figures([outcome(elsewhere, 0, 50.0), outcome(REFERENCE, 1, 50.0), outcome(ITEMS, 0, 100.0)])
    assert found[ITEMS].ratio is None


def test_a_point_that_failed_has_a_reason_and_no_figure() -> None:
    refused = Outcome(point=ITEMS, repetition=0, failure=f"{NOT_SUPPORTED}: unknown key")
    result = shape_result([outcome(REFERENCE, 0, 50.0), refused])
    assert ITEMS not in result.figures
    assert result.failures == {ITEMS: "not supported: unknown key"}


def shape_result(outcomes: list[Outcome], steady: list[Steady] | None = None) -> ShapeResult:
    return ShapeResult(shape=SHAPES[1], outcomes=outcomes, steady=steady or [], in_process_us={}, level=None)


def test_targets_compare_the_points_they_name() -> None:
    alone = point("native", wire.ITEM_IDS.name, ALONE)
    steady = Steady(server="native", form=wire.ITEM_IDS.name, repetition=0, rate=10.0, p50_ms=1.0, p99_ms=2.4)
    outcomes = [outcome(REFERENCE, 0, 100.0), outcome(ITEMS, 0, 590.0), outcome(alone, 0, 80.0, p50=1.0, p99=3.0)]
    found = {target.what: target for target in targets(shape_result(outcomes, [steady]))}
    verdicts = {what: target.verdict for what, target in found.items()}
    assert found["native, item ids: requests/s over the reference's"].found == pytest.approx(5.9)
    assert found["native, item ids: requests/s over the reference's"].by_cpu == pytest.approx(5.9)
    assert verdicts["native, item ids: requests/s over the reference's"] == "missed"
    assert verdicts["native, v2 binary: requests/s over the reference's"] == "not measured"
    assert verdicts["native, item ids: p99 / p50 on one connection"] == "missed"
    assert verdicts["native, item ids: p99 / p50 on one connection at half its rate"] == "met"


@pytest.mark.parametrize(
    ("at_least", "found", "verdict"),
    [
        (True, 6.0, "met"),
        (True, 5.99, "missed"),
        (False, 2.0, "met"),
        (False, 2.01, "missed"),
        (True, None, "not measured"),
    ],
)
def test_a_target_that_is_just_met_is_met(at_least: bool, found: float | None, verdict: str) -> None:
    wanted = 6.0 if at_least else 2.0
    assert Target(what="x", wanted=wanted, at_least=at_least, found=found).verdict == verdict
