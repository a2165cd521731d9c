"""Train the jobs of a search, several at a time, each in a process of one thread as soon as what it needs is done.

One that fails is told and kept apart: what needs it is left out, the rest goes on.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

import torch

from service.bundle import json_bytes, replace_file
from training.checkpoint import CheckpointError
from training.distill import distill
from training.finetune import finetune
from training.loop import DivergedError
from training.progress import console
from training.run import Run
from training.search.plan import Job
from training.teach import teach

_SECONDS = "seconds.json"

_TRAIN: Mapping[str, Callable[[Run], object]] = {
    "teach": teach,
    "distill": lambda run: distill(run, run.taught()),
    "finetune": lambda run: finetune(run, run.load("distill")),
}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A job that ended, or that was never begun because what it needs failed."""

    job: Job
    seconds: float
    """0 if it had ended before this search was started."""
    failure: str = ""


def seconds_of(job: Job) -> float | None:
    """How long a finished job took; None if it is not finished."""
    try:
        return float(json.loads((job.folder / _SECONDS).read_bytes()))
    except (FileNotFoundError, ValueError):
        return None


def train_all(jobs: Mapping[str, Job], processes: int) -> Iterator[Ended]:
    """Train what is not finished and yield each job as it ends, those finished before first."""
    waiting = dict(jobs)
    done: set[str] = set()
    for name, job in jobs.items():
        if seconds_of(job) is not None:
            done.add(name)
            yield Ended(job=waiting.pop(name), seconds=0.0)
    if waiting:
        yield from _train_waiting(waiting, done, processes)


def _train_waiting(waiting: dict[str, Job], done: set[str], processes: int) -> Iterator[Ended]:
    failed: set[str] = set()
    running: dict[Future[float], Job] = {}
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        try:
            while waiting or running:
                for job in [job for job in waiting.values() if job.needs in failed]:
                    failed.add(job.name)
                    yield Ended(job=waiting.pop(job.name), seconds=0.0, failure=f"needs {job.needs}, which failed")
                for job in ready(waiting.values(), done)[: processes - len(running)]:
                    running[pool.submit(_train, waiting.pop(job.name))] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    ended = _ended(running.pop(future), future)
                    (failed if ended.failure else done).add(ended.job.name)
                    yield ended
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def ready(waiting: Iterable[Job], done: Collection[str]) -> list[Job]:
    """Those whose need is done, in their order."""
    return [job for job in waiting if job.needs is None or job.needs in done]


def _ended(job: Job, future: Future[float]) -> Ended:
    try:
        return Ended(job=job, seconds=future.result())
    except (DivergedError, CheckpointError, ValueError) as error:
        return Ended(job=job, seconds=0.0, failure=str(error))


def _one_thread() -> None:
    torch.set_num_threads(1)
    console.quiet = True  # the parent tells one line per point


def _train(job: Job) -> float:
    """Seconds that the phase took; written last, so that its file says that the job is done."""
    began = time.monotonic()
    _TRAIN[job.phase](Run.existing(job.run))
    seconds = time.monotonic() - began
    replace_file(job.folder / _SECONDS, json_bytes(round(seconds, 3)))
    return seconds
