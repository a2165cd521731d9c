"""Carry out a study's trainings, several at a time, each as soon as what it needs is there.

A worker is a process with one torch thread: two of them train two models on two cores, where two threads of one model
gain a third at best, and every figure stays that of one thread. A training that fails is told and kept apart; what
needs it is left out, and the rest goes on.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import torch

from training.checkpoint import CheckpointError
from training.data.prepare import open_prepared
from training.loop import DivergedError
from training.progress import console
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
        ordered: key → training, each after what it needs.
        workers: processes.
    """
    finished = {key: outcome for key, training in ordered.items() if (outcome := store.outcome(training)) is not None}
    for key, outcome in finished.items():
        yield Done(key=key, training=ordered[key], outcome=outcome)
    waiting = {key: training for key, training in ordered.items() if key not in finished}
    if waiting:
        yield from _carry_out_waiting(store, waiting, set(finished), workers)


def _carry_out_waiting(store: Store, waiting: dict[str, Training], finished: set[str], workers: int) -> Iterator[Done]:
    failed: set[str] = set()
    running: dict[Future[Outcome], str] = {}
    training_of = dict(waiting)
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        try:
            while waiting or running:
                for key in _ready(store, waiting, finished, failed, workers - len(running)):
                    training = waiting.pop(key)
                    running[pool.submit(_work, store.directory, store.prepared.directory, training)] = key
                for done in _without_hope(store, waiting, failed):
                    yield done
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    key = running.pop(future)
                    done = _ended(key, training_of[key], future)
                    (failed if done.outcome is None else finished).add(key)
                    yield done
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _ready(
    store: Store, waiting: Mapping[str, Training], finished: set[str], failed: set[str], room: int
) -> Sequence[str]:
    """Keys of at most `room` trainings whose needs are all finished."""
    ready = [
        key
        for key, training in waiting.items()
        if all(store.key(needed) in finished for needed in training.needs)
        and not any(store.key(needed) in failed for needed in training.needs)
    ]
    return ready[:room]


def _without_hope(store: Store, waiting: dict[str, Training], failed: set[str]) -> Iterator[Done]:
    """Take out the trainings that need one that failed; they fail with it."""
    for key, training in list(waiting.items()):
        lost = [store.key(needed) for needed in training.needs if store.key(needed) in failed]
        if lost:
            failed.add(key)
            yield Done(key=key, training=waiting.pop(key), outcome=None, failure=f"needs {lost[0]}, which failed")


def _ended(key: str, training: Training, future: Future[Outcome]) -> Done:
    try:
        return Done(key=key, training=training, outcome=future.result())
    except (DivergedError, CheckpointError, ValueError) as error:
        return Done(key=key, training=training, outcome=None, failure=str(error))


def _one_thread() -> None:
    torch.set_num_threads(1)
    console.quiet = True  # the parent tells one line per training


def _work(directory: Path, data: Path, training: Training) -> Outcome:
    return carry_out(Store(directory, open_prepared(data)), training)
