"""Train the jobs of a search, several at a time, each as soon as what it needs is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from service.bundle import json_bytes, replace_file
from training.distill import distill
from training.finetune import finetune
from training.pool import Task, carry_out
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
    finished = [name for name, job in jobs.items() if seconds_of(job) is not None]  # in their order
    for name in finished:
        yield Ended(job=jobs[name], seconds=0.0)
    tasks = {
        name: Task(call=partial(_train, job), needs=() if job.needs is None else (job.needs,))
        for name, job in jobs.items()
        if name not in finished
    }
    if tasks:
        for ended in carry_out(tasks, processes, finished):
            yield Ended(job=jobs[ended.name], seconds=ended.result or 0.0, failure=ended.failure)


def _train(job: Job) -> float:
    """Seconds that the phase took; written last, so that its file says that the job is done."""
    began = time.monotonic()
    _TRAIN[job.phase](Run.existing(job.run))
    seconds = time.monotonic() - began
    replace_file(job.folder / _SECONDS, json_bytes(round(seconds, 3)))
    return seconds
