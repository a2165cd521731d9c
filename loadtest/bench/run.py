"""One shape: build the model, start the servers, measure every point in every repetition.

Servers share one core, of which the one that is asked has all. Points of the same candidates and connections are
measured one after another, so that a slow moment of the machine hits all of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from export.bench_shapes import Shape
from loadtest.bench import wire
from loadtest.bench.bundles import make_subject, native_scorer
from loadtest.bench.inprocess import time_in_process
from loadtest.bench.measure import Bench, Outcome, Steady
from loadtest.bench.points import ALONE, CANDIDATES, Point
from loadtest.bench.servers import running, servers
from loadtest.bench.summary import ShapeResult
from loadtest.bench.wrk import LoadError
from loadtest.launch import Endpoint
from training.progress import console, steps


def measure_shape(shape: Shape, plan: Sequence[Point], *, core: int, seconds: int, repetitions: int) -> ShapeResult:
    """Every repetition of one shape, servers started afresh on `core` for each."""
    outcomes: list[Outcome] = []
    steady: list[Steady] = []
    in_all = 1 + repetitions * (len(plan) + 1) + len(CANDIDATES)
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, steps(f"bench {shape.label}", in_all) as report:
        report("build the model")
        folder = Path(temporary)
        subject = make_subject(shape, folder)
        started = servers(subject)
        bench = Bench(subject, started, folder, seconds)
        for repetition in range(repetitions):
            report("start the servers")
            with running(started, core, folder) as endpoints:
                for point in plan:
                    report(f"{point.server}, {point.form}")
                    outcome = bench.measure(point, endpoints[point.server], repetition)
                    outcomes.append(outcome)
                    steady += _steady(bench, outcome, endpoints[point.server])
        in_process_us = {}
        for candidates in CANDIDATES:
            report(f"in process, N = {candidates}")
            in_process_us[candidates] = time_in_process(subject, bench.samples(candidates))
        native = native_scorer(subject.bundle)
    level = None if native is None else native.level
    return ShapeResult(shape=shape, outcomes=outcomes, steady=steady, in_process_us=in_process_us, level=level)


def _steady(bench: Bench, outcome: Outcome, endpoint: Endpoint) -> list[Steady]:
    """After the point of item ids on one connection: the same at half its rate."""
    point = outcome.point
    if outcome.load is None or not wants_steady(point):
        return []
    try:
        return [bench.steady(point, endpoint, outcome.repetition, outcome.load.requests_per_s / 2)]
    except LoadError as error:
        console.print(f"[red]{error}[/]")
        return []


def wants_steady(point: Point) -> bool:
    """Whether a point is also measured at half its rate."""
    return point.form == wire.ITEM_IDS.name and (point.candidates, point.connections) == ALONE
