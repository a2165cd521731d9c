"""The scorers on the same requests without HTTP, in this process: what is left of a request when all else is free."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns

from loadtest.bench.apps import RowsModel
from loadtest.bench.bundles import Subject, native_scorer, onnx_scorer
from loadtest.bench.wire import Sample
from service.scoring import Scorer

ROWS_GRAPH, BEST_GRAPH, NATIVE = "rows graph", "best graph", "native"
ROUNDS = 9


def time_in_process(subject: Subject, samples: Sequence[Sample], rounds: int = ROUNDS) -> dict[str, float]:
    """Contender → median over rounds of the mean microseconds per request, contenders alternating."""
    contenders = _contenders(subject, samples)
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            run()  # the one before has left other things in the caches
            started = perf_counter_ns()
            run()
            took[name].append((perf_counter_ns() - started) / 1e3 / len(samples))
    return {name: statistics.median(times) for name, times in took.items()}


def _contenders(subject: Subject, samples: Sequence[Sample]) -> Mapping[str, Callable[[], object]]:
    """Contender → a run over all samples; native only where it is built."""
    model = RowsModel(subject.rows_graph)
    rows = [sample.rows for sample in samples]
    scorers: dict[str, Scorer] = {BEST_GRAPH: onnx_scorer(subject.bundle)}
    native = native_scorer(subject.bundle)
    if native is not None:
        scorers[NATIVE] = native
    return {
        ROWS_GRAPH: lambda: [model.logits(rows_NF) for rows_NF in rows],
        **{name: _run(scorer, samples) for name, scorer in scorers.items()},
    }


def _run(scorer: Scorer, samples: Sequence[Sample]) -> Callable[[], object]:
    return lambda: [scorer.score(sample.context_ids, sample.candidate_ids) for sample in samples]
