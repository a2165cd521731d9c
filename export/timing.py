"""Timing: microseconds of one run of a scorer, one thread, median of many, at several N."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from export.parity import random_ids
from service.bundle import Ids
from service.scoring import Scorer

SIZES = (1, 50, 200, 1000)
DECIDING = 200
"""The N whose time decides which form is kept: a typical request."""
_SECONDS_PER_ROUND = 0.03
_ROUNDS = 7


def time_scorers(scorers: Mapping[str, Scorer], sizes: list[int], context_fields: int) -> dict[str, dict[str, float]]:
    """Scorer → N → median microseconds. Rounds alternate between scorers, so a slow moment hits all of them."""
    timings: dict[str, dict[str, float]] = {name: {} for name in scorers}
    for rows in SIZES:
        context_ids = random_ids(sizes[:context_fields], 1, seed=0)
        candidate_ids = random_ids(sizes[context_fields:], rows, seed=1)
        rounds = [
            {name: _median_us(scorer, context_ids, candidate_ids) for name, scorer in scorers.items()}
            for _ in range(_ROUNDS)
        ]
        for name in scorers:
            timings[name][str(rows)] = round(statistics.median(medians[name] for medians in rounds), 1)
    return timings


def _median_us(scorer: Scorer, context_ids: Ids, candidate_ids: Ids) -> float:
    scorer.score(context_ids, candidate_ids)
    runs: list[int] = []
    until = time.perf_counter_ns() + int(_SECONDS_PER_ROUND * 1e9)
    while (started := time.perf_counter_ns()) < until:
        scorer.score(context_ids, candidate_ids)
        runs.append(time.perf_counter_ns() - started)
    return statistics.median(runs) / 1e3
