"""From outcomes to figures: medians over repetitions, ratios to the reference of the same repetition, targets."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtest.bench import wire
from loadtest.bench.measure import Outcome, Steady
from loadtest.bench.points import ALONE, CENTRE, Point
from loadtest.bench.servers import NATIVE, ONNXRUNTIME, OURS, REFERENCE
from loadtest.bench.wrk import Load


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A ratio over repetitions."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One point over all repetitions."""

    point: Point
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    tail: float
    """p99 / p50, of the same repetition."""
    ratio: Spread | None
    """Requests per second over those of the reference at the same candidates and connections; None without one."""
    body_bytes: int
    stages_us: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ShapeResult:
    """Everything measured of one shape."""

    label: str
    outcomes: Sequence[Outcome]
    steady: Sequence[Steady]
    in_process_us: Mapping[int, Mapping[str, float]]
    """Candidates → contender → microseconds per request."""
    level: str | None
    """Instruction set of the native scorer, None where it is not built."""

    @property
    def figures(self) -> dict[Point, Figure]:
        """Point → figure, in the order measured; points that failed in every repetition are absent."""
        return figures(self.outcomes)

    @property
    def failures(self) -> dict[Point, str]:
        """Point → why it could not be measured, the last reason."""
        return {outcome.point: outcome.failure for outcome in self.outcomes if outcome.failure is not None}


def figures(outcomes: Iterable[Outcome]) -> dict[Point, Figure]:
    """Point → its figure over the repetitions that could be measured."""
    loads = {(outcome.point, outcome.repetition): outcome.load for outcome in outcomes if outcome.load is not None}
    grouped: dict[Point, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.load is not None:
            grouped[outcome.point].append(outcome)
    return {point: _figure(point, repeated, loads) for point, repeated in grouped.items()}


def _figure(point: Point, repeated: Sequence[Outcome], loads: Mapping[tuple[Point, int], Load]) -> Figure:
    own = [loads[point, outcome.repetition] for outcome in repeated]
    stages = {stage: [outcome.stages_us.get(stage, 0.0) for outcome in repeated] for stage in repeated[0].stages_us}
    return Figure(
        point=point,
        requests_per_s=statistics.median(load.requests_per_s for load in own),
        p50_ms=statistics.median(load.p50_ms for load in own),
        p99_ms=statistics.median(load.p99_ms for load in own),
        tail=statistics.median(load.p99_ms / load.p50_ms for load in own),
        ratio=_ratio(point, repeated, loads),
        body_bytes=repeated[0].body_bytes,
        stages_us={stage: statistics.median(times) for stage, times in stages.items()},
    )


def _ratio(point: Point, repeated: Sequence[Outcome], loads: Mapping[tuple[Point, int], Load]) -> Spread | None:
    reference = Point(
        candidates=point.candidates,
        connections=point.connections,
        server=REFERENCE,
        form=wire.ID_ROWS.name,
    )
    ratios = [
        loads[point, outcome.repetition].requests_per_s / loads[reference, outcome.repetition].requests_per_s
        for outcome in repeated
        if (reference, outcome.repetition) in loads
    ]
    if not ratios:
        return None
    return Spread(median=statistics.median(ratios), low=min(ratios), high=max(ratios))


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is wanted and what was found."""

    what: str
    wanted: float
    at_least: bool
    """Whether more is better; at most otherwise."""
    found: float | None
    """None where it was not measured."""

    @property
    def verdict(self) -> str:
        """`met`, `missed` or `not measured`."""
        if self.found is None:
            return "not measured"
        met = self.found >= self.wanted if self.at_least else self.found <= self.wanted
        return "met" if met else "missed"


RATIOS = (
    (ONNXRUNTIME, wire.ITEM_IDS, 2.0),
    (ONNXRUNTIME, wire.COLUMNS, 1.5),
    (NATIVE, wire.ITEM_IDS, 6.0),
    (NATIVE, wire.ID_COLUMNS, 4.0),
    (NATIVE, wire.INFER_BINARY, 6.0),
)
"""Scorer, form, wanted ratio to the reference's requests per second at the centre."""
TAIL_ALONE, TAIL_STEADY = 2.0, 2.5
"""Largest wanted p99 / p50 on one connection: as fast as it goes, and at half that rate."""


def targets(result: ShapeResult) -> list[Target]:
    """What is wanted of the shape with 23 fields."""
    return [*_ratio_targets(result), *_tail_targets(result)]


def _ratio_targets(result: ShapeResult) -> list[Target]:
    found = []
    measured = result.figures
    for scorer, form, wanted in RATIOS:
        figure = measured.get(Point(candidates=CENTRE[0], connections=CENTRE[1], server=scorer, form=form.name))
        ratio = None if figure is None or figure.ratio is None else figure.ratio.median
        what = f"{scorer}, {form.name}: requests/s over the reference's, N = {CENTRE[0]}, {CENTRE[1]} connections"
        found.append(Target(what=what, wanted=wanted, at_least=True, found=ratio))
    return found


def _tail_targets(result: ShapeResult) -> list[Target]:
    found = []
    measured = result.figures
    for scorer in OURS:
        alone = measured.get(Point(candidates=ALONE[0], connections=ALONE[1], server=scorer, form=wire.ITEM_IDS.name))
        steady = [run.p99_ms / run.p50_ms for run in result.steady if run.server == scorer]
        what = f"{scorer}, {wire.ITEM_IDS.name}: p99 / p50, N = {ALONE[0]}, {ALONE[1]} connection"
        tail = None if alone is None else alone.tail
        found.append(Target(what=what, wanted=TAIL_ALONE, at_least=False, found=tail))
        tail = statistics.median(steady) if steady else None
        found.append(Target(what=f"{what}, at half load", wanted=TAIL_STEADY, at_least=False, found=tail))
    return found
