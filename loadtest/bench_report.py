"""What a report costs: a store with so many feedback events is written, then `report --json` is run on it and watched.

    python -m loadtest.bench_report [--feedback 1000000]

Units have ten impressions each, in two requests; time and peak memory are those of the child process, as the operating
system counted them.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from service.events import open_store
from service.events.records import Answered, Exposure, FeedbackEvent
from service.events.store import Batch
from service.experiment.document import check

START_MS = 1_760_000_000_000
DAY_MS = 24 * 3_600_000
REQUESTS, CANDIDATES = 2, 5
ARMS = ("teacher", "student")


def bench(
    feedback: Annotated[int, typer.Option(help="Feedback events in the store.")] = 1_000_000,
) -> None:
    """Write a store, report on it, print seconds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:{folder}/events.sqlite3"
        began = time.perf_counter()
        write(url, feedback // (REQUESTS * CANDIDATES))
        size = Path(folder, "events.sqlite3").stat().st_size
        typer.echo(f"{feedback} feedback events written in {time.perf_counter() - began:.1f} s, {size / 1e6:.0f} MB")
        began = time.perf_counter()
        command = [sys.executable, "-m", "service.experiment", "report", "--json", f"--out={folder}/report.json"]
        subprocess.run(command, env={**os.environ, "CTR_EVENTS": url}, check=True)
        wall_s = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    typer.echo(f"report: {wall_s:.1f} s, {cpu_s:.1f} s of processor time, {used.ru_maxrss / 1024:.0f} MiB at most")


def write(url: str, units: int) -> None:
    """A phase of so many units, half of them in each arm."""
    arms = [{"name": name, "weight": 5000} for name in ARMS]
    store = open_store(url, DAY_MS)
    document = check({"experiments": [{"name": "bench", "arms": arms}]})
    store.add_revision(0, "put", "a benchmark", document.model_dump(mode="json"))
    for batch in _batches(units):
        store.write(batch)
    store.close()


def _batches(units: int, at_once: int = 500) -> Iterator[Batch]:
    random = np.random.default_rng(1)
    for begin in range(0, units, at_once):
        batch = Batch()
        for unit in range(begin, min(begin + at_once, units)):
            _unit(batch, unit, random, START_MS + unit * 14 * DAY_MS // units)
        yield batch


def _unit(batch: Batch, unit: int, random: np.random.Generator, ts_ms: int) -> None:
    arm = ARMS[int(random.integers(2))]
    ctr = random.beta(2, 18)
    for request in range(REQUESTS):
        name = f"{unit}-{request}"
        p_N = random.beta(20 * ctr, 20 * (1 - ctr), CANDIDATES)
        batch.exposures.append(
            Exposure(
                exposure_id=random.bytes(16),
                request_id=name,
                ts_ms=ts_ms,
                experiment="bench",
                phase=1,
                revision=1,
                unit_hash=unit.to_bytes(16),
                arm=arm,
                propensity=0.5,
                reason="assigned",
                n_candidates=CANDIDATES,
            )
        )
        latency_us = float(random.lognormal(6, 0.3))
        answered = Answered(name, ts_ms, f"{arm}@v1", False, 200, latency_us, p_N.astype("<f4").tobytes(), b"")
        batch.answers.append(answered)
        for position, clicked in enumerate((random.random(CANDIDATES) < p_N).tolist()):
            kind = "click" if clicked else "impression"
            batch.feedback.append(FeedbackEvent(name, f"#{position}", kind, None, ts_ms + 1000))


if __name__ == "__main__":
    typer.run(bench)
