"""Carry out tasks that need one another, several at a time, each as soon as what it needs is done.

A worker is a process with one torch thread: two of them train two models on two cores, where two threads of one model
gain a third at best, and every figure stays that of one thread. A task that fails is told and kept apart; what needs it
is left out, and the rest goes on. What knows tasks and processes is here and nowhere else.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from training.checkpoint import CheckpointError
from training.loop import DivergedError
from training.progress import console

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Task(Generic[Result]):
    """Something to do in a process of its own.

    Attributes:
        call: what is done; picklable, as is its result.
        needs: names of the tasks that must be done before.
    """

    call: Callable[[], Result]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ended(Generic[Result]):
    """A task that ended: with a result, or with the reason why there is none."""

    name: str
    result: Result | None
    failure: str = ""


def carry_out(tasks: Mapping[str, Task[Result]], workers: int, done: Collection[str] = ()) -> Iterator[Ended[Result]]:
    """Yield each task as it ends.

    Args:
        tasks: name → task; a need that is neither among them nor in `done` is never met.
        workers: processes.
        done: names that count as done before anything is begun.
    """
    waiting, met, failed = dict(tasks), set(done), set[str]()
    running: dict[Future[Result], str] = {}
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        try:
            while waiting or running:
                for name in _hopeless(waiting, failed):
                    lost = next(need for need in waiting.pop(name).needs if need in failed)
                    failed.add(name)
                    yield Ended(name=name, result=None, failure=f"needs {lost}, which failed")
                for name in ready(waiting, met)[: workers - len(running)]:
                    running[pool.submit(waiting.pop(name).call)] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    ended = _ended(running.pop(future), future)
                    (failed if ended.failure else met).add(ended.name)
                    yield ended
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def ready(waiting: Mapping[str, Task[Result]], met: Collection[str]) -> list[str]:
    """Names of the tasks whose needs are all met, in their order."""
    return [name for name, task in waiting.items() if all(need in met for need in task.needs)]


def _hopeless(waiting: Mapping[str, Task[Result]], failed: Collection[str]) -> list[str]:
    return [name for name, task in waiting.items() if any(need in failed for need in task.needs)]


def _ended(name: str, future: Future[Result]) -> Ended[Result]:
    try:
        return Ended(name=name, result=future.result())
    except (DivergedError, CheckpointError, ValueError) as error:
        return Ended(name=name, result=None, failure=str(error))


def _one_thread() -> None:
    torch.set_num_threads(1)
    console.quiet = True  # the parent tells one line per task
