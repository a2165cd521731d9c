"""Timing: microseconds of one run of a scorer, one thread, median of many, at several N."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from export.parity import random_ids
from service.bundle import Ids
from service.scoring import Scorer

SIZES = (1, 50, 200, 1000)
DECIDING = 200
"""The N whose time decides which form is kept: a typical request."""
MARGIN = 0.1
"""Share of the time at N = 1 that a second graph must save to be worth a second session."""
_SECONDS_PER_ROUND = 0.03
_ROUNDS = 7


def time_scorers(
    scorers: Mapping[str, Scorer], sizes: list[int], context_fields: int, candidates: Sequence[int] = SIZES
) -> dict[str, dict[str, float]]:
    """Scorer → N → median microseconds. Rounds alternate between scorers, so a slow moment hits all of them.

    Args:
        scorers: what to time, by name.
        sizes: ids of each field.
        context_fields: Fc.
        candidates: every N to time at.
    """
    timings: dict[str, dict[str, float]] = {name: {} for name in scorers}
    for rows in candidates:
        context_ids = random_ids(sizes[:context_fields], 1, seed=0)
        candidate_ids = random_ids(sizes[context_fields:], rows, seed=1)
        rounds = [
            {name: _median_us(scorer, context_ids, candidate_ids) for name, scorer in scorers.items()}
            for _ in range(_ROUNDS)
        ]
        for name in scorers:
            timings[name][str(rows)] = round(statistics.median(medians[name] for medians in rounds), 1)
    return timings


def small_form(timings: Mapping[str, Mapping[str, float]], fastest: str) -> str | None:
    """The form that beats `fastest`, the one kept, by a clear margin at N = 1; None if there is none."""
    one = str(SIZES[0])
    quickest = min(timings, key=lambda name: timings[name][one])
    return quickest if timings[quickest][one] <= (1 - MARGIN) * timings[fastest][one] else None


def faster_up_to(small: Scorer, large: Scorer, sizes: list[int], context_fields: int) -> int:
    """The largest N at which `small` is still the faster one, by bisection between 1 and the deciding N."""
    low, high = 1, DECIDING
    while high - low > 1:
        middle = (low + high) // 2
        timings = time_scorers({"small": small, "large": large}, sizes, context_fields, (middle,))
        if timings["small"][str(middle)] < timings["large"][str(middle)]:
            low = middle
        else:
            high = middle
    return low


def _median_us(scorer: Scorer, context_ids: Ids, candidate_ids: Ids) -> float:
    scorer.score(context_ids, candidate_ids)
    runs: list[int] = []
    until = time.perf_counter_ns() + int(_SECONDS_PER_ROUND * 1e9)
    while (started := time.perf_counter_ns()) < until or not runs:
        scorer.score(context_ids, candidate_ids)
        runs.append(time.perf_counter_ns() - started)
    return statistics.median(runs) / 1e3
