"""What a run asks for, stage after stage, and when each request of an open loop is due.

    warm-up:5@100, low:20@100, high:20@400

A stage is NAME:SECONDS@LOAD; its load is requests per second in an open loop and users in a closed one. Stages whose
name begins with warm-up are not measured. An open loop's times are fixed before the run: a service that stalls finds
all requests waiting that came meanwhile, as it would behind real users, and their latency counts from the moment each
was due. A generator that waits for answers before it asks again would have left them out (coordinated omission).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np

WARM_UP = "warm-up"
STEADY = "steady"
CONSTANT, POISSON = "constant", "poisson"
_STAGE = re.compile(r"([\w .%-]*\w[\w .%-]*):(\d+(?:\.\d+)?)@(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Stage:
    """Some seconds under one load."""

    name: str
    seconds: float
    """Infinite for a stage that ends when somebody stops it."""
    load: float
    """Requests per second, or users."""

    @property
    def measured(self) -> bool:
        """Whether its figures count."""
        return not self.name.startswith(WARM_UP)


class Arrival(NamedTuple):
    """One request of an open loop."""

    due_s: float
    """When it is to be sent, from the start of the run."""
    stage: int


def parse_stages(text: str) -> list[Stage]:
    """Stages as written on the command line; raises ValueError for what is none."""
    stages = []
    for part in text.split(","):
        found = _STAGE.fullmatch(part.strip())
        if found is None or float(found[2]) <= 0 or float(found[3]) <= 0:
            raise ValueError(f"--stages: got {part.strip()!r}, expected NAME:SECONDS@LOAD, both above 0: low:20@100")
        stages.append(Stage(found[1].strip(), float(found[2]), float(found[3])))
    if not any(stage.measured for stage in stages):
        raise ValueError(f"--stages: got warm-ups alone in {text!r}, expected a stage by another name to measure")
    return stages


def default_stages(warm_up_s: float, run_s: float | None, load: float) -> list[Stage]:
    """A warm-up, if it has any length, and one stage that ends with the run time, if that has an end."""
    steady = Stage(STEADY, math.inf if run_s is None else run_s, load)
    return [steady] if warm_up_s <= 0 else [Stage(WARM_UP, warm_up_s, load), steady]


class Timeline:
    """Where in its stages a run is."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self._ends = list(accumulate(stage.seconds for stage in stages))

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return self._ends[-1]

    def stage_at(self, elapsed_s: float) -> int:
        """Index of the stage; one beyond the last when all are over."""
        return bisect_right(self._ends, elapsed_s)

    def start_of(self, stage: int) -> float:
        """Seconds from the start of the run to that of a stage."""
        return self._ends[stage - 1] if stage else 0.0


def arrivals(timeline: Timeline, kind: str, seed: int) -> Iterator[Arrival]:
    """Every request of an open loop, in order.

    Args:
        timeline: the stages, their loads requests per second.
        kind: CONSTANT for equal gaps, POISSON for independent users, whose gaps are exponential.
        seed: of the gaps.
    """
    random = np.random.default_rng(seed)
    for number, stage in enumerate(timeline.stages):
        start = timeline.start_of(number)
        if kind == CONSTANT:
            count = 0
            while count / stage.load < stage.seconds:
                yield Arrival(start + count / stage.load, number)
                count += 1
        else:
            due = random.exponential(1 / stage.load)
            while due < stage.seconds:
                yield Arrival(start + due, number)
                due += random.exponential(1 / stage.load)
