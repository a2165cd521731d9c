"""From outcomes to figures: medians over repetitions, ratios to the reference of the same repetition, targets."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from export.bench_shapes import Shape
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
    cpu_ratio: float | None
    """The reference's processor time per request over this one's: the same on a machine that does nothing else."""
    cpu_us: float
    request_bytes: int
    stages_us: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ShapeResult:
    """Everything measured of one shape."""

    shape: Shape
    outcomes: Sequence[Outcome]
    steady: Sequence[Steady]
    in_process_us: Mapping[int, Mapping[str, float]]
    """Candidates → contender → microseconds per request."""
    level: str | None
    """Instruction set of the native scorer, None where it is not built."""

    @property
    def title(self) -> str:
        """The shape in words."""
        shape = self.shape
        return f"{shape.label} shape ({shape.fields} fields, {shape.context} of context, {shape.values:,} values)"

    @property
    def figures(self) -> dict[Point, Figure]:
        """Point → figure, in the order measured; points that failed in every repetition are absent."""
        return figures(self.outcomes)

    @property
    def failures(self) -> dict[Point, str]:
        """Point → why it could not be measured, the last reason."""
        return {outcome.point: outcome.failure for outcome in self.outcomes if outcome.failure is not None}


def reference_of(point: Point) -> Point:
    """The reference's point at the same candidates and connections."""
    return dataclasses.replace(point, server=REFERENCE, form=wire.ID_ROWS.name)


def figures(outcomes: Iterable[Outcome], compared_with: Callable[[Point], Point] = reference_of) -> dict[Point, Figure]:
    """Point → its figure over the repetitions that could be measured, its ratios to the point it is compared with."""
    grouped: dict[Point, dict[int, Measured]] = defaultdict(dict)
    for outcome in outcomes:
        if outcome.load is not None:
            grouped[outcome.point][outcome.repetition] = Measured(outcome, outcome.load)
    return {point: _figure(own, grouped.get(compared_with(point), {})) for point, own in grouped.items()}


@dataclass(frozen=True)
class Measured:
    """An outcome that has a load."""

    outcome: Outcome
    load: Load


def _figure(own: Mapping[int, Measured], reference: Mapping[int, Measured]) -> Figure:
    """From repetition → measured, of a point and of the reference beside it."""
    measured = list(own.values())
    pairs = [(each, reference[repetition]) for repetition, each in own.items() if repetition in reference]
    ratios = [ours.load.requests_per_s / theirs.load.requests_per_s for ours, theirs in pairs]
    cpu_ratios = [theirs.outcome.cpu_us / ours.outcome.cpu_us for ours, theirs in pairs if ours.outcome.cpu_us]
    stages = measured[0].outcome.stages_us
    return Figure(
        point=measured[0].outcome.point,
        requests_per_s=median(each.load.requests_per_s for each in measured),
        p50_ms=median(each.load.p50_ms for each in measured),
        p99_ms=median(each.load.p99_ms for each in measured),
        tail=median(each.load.p99_ms / each.load.p50_ms for each in measured),
        ratio=Spread(median=median(ratios), low=min(ratios), high=max(ratios)) if ratios else None,
        cpu_ratio=median(cpu_ratios) if cpu_ratios else None,
        cpu_us=median(each.outcome.cpu_us for each in measured),
        request_bytes=measured[0].outcome.request_bytes,
        stages_us={stage: median(each.outcome.stages_us.get(stage, 0.0) for each in measured) for stage in stages},
    )


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is wanted and what was found."""

    what: str
    wanted: float
    at_least: bool
    """Whether more is better; at most otherwise."""
    found: float | None
    """None where it was not measured."""
    by_cpu: float | None = None
    """The same ratio by processor time; it decides nothing."""

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
        by_cpu = None if figure is None else figure.cpu_ratio
        what = f"{scorer}, {form.name}: requests/s over the reference's"
        found.append(Target(what=what, wanted=wanted, at_least=True, found=ratio, by_cpu=by_cpu))
    return found


def _tail_targets(result: ShapeResult) -> list[Target]:
    found = []
    measured = result.figures
    for scorer in OURS:
        alone = measured.get(Point(candidates=ALONE[0], connections=ALONE[1], server=scorer, form=wire.ITEM_IDS.name))
        steady = [run.p99_ms / run.p50_ms for run in result.steady if run.server == scorer]
        what = f"{scorer}, {wire.ITEM_IDS.name}: p99 / p50 on one connection"
        tail = None if alone is None else alone.tail
        found.append(Target(what=what, wanted=TAIL_ALONE, at_least=False, found=tail))
        tail = median(steady) if steady else None
        found.append(Target(what=f"{what} at half its rate", wanted=TAIL_STEADY, at_least=False, found=tail))
    return found
