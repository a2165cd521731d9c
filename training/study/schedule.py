"""Carry out a study's trainings, several at a time, each as soon as what it needs is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from training.data.prepare import open_prepared
from training.pool import Task
from training.pool import carry_out as carry_out_tasks
from training.study.recipe import Training
from training.study.store import Outcome, Store
from training.study.work import carry_out


@dataclass(frozen=True, kw_only=True)
class Done:
    """A training that ended: with an outcome, or with the reason why there is none."""

    key: str
    training: Training
    outcome: Outcome | None
    failure: str = ""


def carry_out_all(store: Store, ordered: Mapping[str, Training], workers: int) -> Iterator[Done]:
    """Train what is not finished, and yield each training as it ends, finished ones first.

    Args:
        store: where trainings are kept.
        ordered: key → training, with all that they need.
        workers: processes.
    """
    finished = {key: outcome for key, training in ordered.items() if (outcome := store.outcome(training)) is not None}
    for key, outcome in finished.items():
        yield Done(key=key, training=ordered[key], outcome=outcome)
    tasks = {
        key: Task(
            call=partial(_work, store.directory, store.prepared.directory, training),
            needs=tuple(store.key(needed) for needed in training.needs),
        )
        for key, training in ordered.items()
        if key not in finished
    }
    if tasks:
        for ended in carry_out_tasks(tasks, workers, finished):
            training = ordered[ended.name]
            yield Done(key=ended.name, training=training, outcome=ended.result, failure=ended.failure)


def _work(directory: Path, data: Path, training: Training) -> Outcome:
    return carry_out(Store(directory, open_prepared(data)), training)
