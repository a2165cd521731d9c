"""Student and teacher under the same traffic, one after the other, each a service of its own on one core.

Separate processes rather than forced arms of one service: a teacher in the student's process would take the student's
core and its memory, and the CPU time of the two could not be told apart. First a closed loop finds what a service can
take; then an open loop offers shares of that, because a table of latencies at rates that one of them cannot take, or
does not feel, compares nothing. The student also gets the rate that is half of what the teacher can take: there the
two answer equally many requests.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.launch import Endpoint
from loadtest.ranking.generator import Generator
from loadtest.ranking.record import StageFigures
from loadtest.ranking.stages import WARM_UP, Stage
from loadtest.traffic.serve import EXPERIMENT, Wanted, experiment_service

STUDENT, TEACHER = "student", "teacher"
CAPACITY, EQUAL = "capacity", "equal load"
"""Names of stages: what a service takes at most; half of what the teacher takes."""
USERS = 16
"""Of the closed loop that finds the capacity."""
HALF = 0.5
IDLE = 0.8
"""Share of a core below which a service at its capacity waited for something else."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how much."""

    seconds: float = 15.0
    """Of every measured stage."""
    shares: tuple[float, ...] = (0.25, HALF, 0.75, 0.9)
    """Of the capacity, ascending: what a service could not take in one stage it has not left for the next."""
    warm_up_s: float = 2.0
    """Before the first measured stage of each run."""
    start_s: float = 6.0
    """What starting a service or a generator takes, for the time left."""

    @property
    def planned_s(self) -> float:
        """Expected seconds of everything."""
        sides, runs = 2, 2
        stages = sides * (1 + len(self.shares)) + 1
        return stages * self.seconds + sides * (runs * (self.warm_up_s + self.start_s) + self.start_s)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What both sides share."""

    schedule: Schedule
    options: Sequence[str]
    """Of the generator."""
    service_core: int
    generator_core: int
    folder: Path
    """For the generator's reports."""


Found = Mapping[str, Sequence[StageFigures]]
"""Side → its stages."""
Tell = Callable[[str], Callable[[], None]]
"""Takes what is done now; gives what to call while it is."""


def measured(bench: Bench, side: str, bundle: Path, tell: Tell, equal: float | None = None) -> list[StageFigures]:
    """All stages of one side: its capacity, then shares of it, and `equal` requests per second if given.

    Raises:
        LoadError: the service or the generator did not run.
    """
    tell(f"{side}: start")
    schedule, reports = bench.schedule, bench.folder / side
    wanted = Wanted(student=bundle, experiment=EXPERIMENT, core=bench.service_core)
    with tempfile.TemporaryDirectory(prefix="loadtest-") as name, experiment_service(wanted, Path(name)) as served:
        (pid,) = served.service.processes
        generator = Generator(Endpoint(port=served.service.port, pid=pid), bench.generator_core, bench.options)
        closed = ("--loop", "closed", "--users", str(USERS), "--think-s", "0")
        stages = _warm(schedule, Stage(CAPACITY, schedule.seconds, USERS))
        (capacity,) = generator.run(reports / CAPACITY, stages, closed, tell(f"{side}: {CAPACITY}"))
        stages = _warm(schedule, *_offered(schedule, capacity.requests_per_s, equal))
        tick = tell(f"{side}: {len(stages) - 1} rates up to {stages[-1].load:,.0f} requests/s")
        return [capacity, *generator.run(reports / "rates", stages, (), tick)]


def _warm(schedule: Schedule, *stages: Stage) -> list[Stage]:
    return [Stage(WARM_UP, schedule.warm_up_s, stages[0].load), *stages]


def _offered(schedule: Schedule, capacity: float, equal: float | None) -> list[Stage]:
    """Stages of an open loop, the slowest first."""
    rates = {f"{share:.0%}": share * capacity for share in schedule.shares}
    if equal is not None:
        rates[EQUAL] = equal
    stages = [Stage(name, schedule.seconds, max(0.1, round(rate, 1))) for name, rate in rates.items()]
    return sorted(stages, key=lambda stage: stage.load)


def compare(bench: Bench, student: Path, teacher: Path, tell: Tell) -> Found:
    """The stages of both; the teacher first, since the student is asked at one of its rates; raises LoadError."""
    of_teacher = measured(bench, TEACHER, teacher, tell)
    equal = HALF * of_teacher[0].requests_per_s
    return {STUDENT: measured(bench, STUDENT, student, tell, equal), TEACHER: of_teacher}


def doubts(found: Found) -> list[str]:
    """What stands in the way of believing the figures, a line each."""
    lines = []
    for side, stages in found.items():
        for stage in stages:
            where = f"{side}, {stage.name}"
            if stage.bottleneck:
                lines.append(f"{where}: {stage.bottleneck}; result not valid")
            elif stage.name == CAPACITY and stage.server_cores < IDLE:
                lines.append(f"{where}: the service had {stage.server_cores:.2f} of its core, others have the rest")
            lines += [f"{where}: {count} of {stage.asked} failed: {what}" for what, count in stage.why.items()]
    return lines


def ratios(found: Found) -> list[str]:
    """What the student has over the teacher, a line each."""
    stages = {side: {stage.name: stage for stage in figures} for side, figures in found.items()}
    student, teacher = stages[STUDENT], stages[TEACHER]
    lines = [_times("requests/s at capacity", "requests_per_s", student[CAPACITY], teacher[CAPACITY])]
    if EQUAL in student and f"{HALF:.0%}" in teacher:
        ours, theirs = student[EQUAL], teacher[f"{HALF:.0%}"]
        for what, figure in (("p50", "p50_ms"), ("p99", "p99_ms"), ("CPU per candidate", "cpu_s_per_million")):
            lines.append(_times(f"{what} at {ours.load:,.0f} requests/s, teacher over student", figure, theirs, ours))
    return lines


def _times(what: str, figure: str, more: StageFigures, less: StageFigures) -> str:
    ratio = getattr(more, figure) / getattr(less, figure) if getattr(less, figure) else math.nan
    return f"{what}: {ratio:.1f} times{' (not valid)' if more.bottleneck or less.bottleneck else ''}"
