"""`python -m training.bench_prepare`: rows a second from a Criteo TSV to a prepared folder, everything included.

Reading, cutting, counting, encoding, digesting, writing and opening again: all that `python -m training prepare` does.
The file is generated: 39 columns with about Criteo's missing values and 1.4M distinct texts in 2M rows.
Each round is a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer

from training.data.columns import COMPILED
from training.data.criteo import CATEGORIES, LABEL, NUMBERS, CriteoOptions, read
from training.data.prepare import prepare
from training.progress import console, results, results_table

CLICK_RATE = 0.256
NUMBER_MISSING = (0.45, 0, 0.21, 0.21, 0.03, 0.22, 0.04, 0, 0.04, 0.45, 0.04, 0.77, 0.21)
NUMBER_MIDDLE = (1, 2, 2, 2, 7, 4, 2, 2, 4, 0, 1, 0, 2)
"""Logarithms of the median of I1 … I13, roughly."""
CATEGORY_MISSING = {"C3": 0.03, "C4": 0.03, "C6": 0.12, "C12": 0.03, "C16": 0.03, "C19": 0.44, "C20": 0.44, "C21": 0.03,
                    "C22": 0.76, "C24": 0.03, "C25": 0.44, "C26": 0.44}  # fmt: skip
CATEGORY_VALUES = (1_400, 550, 330_000, 150_000, 300, 20, 11_500, 620, 3, 50_000, 5_000, 300_000, 3_100, 26, 11_000,
                   230_000, 10, 5_000, 2_000, 4, 280_000, 17, 15, 55_000, 80, 40_000)  # fmt: skip
FREQUENT = 50_000
"""A column of fewer values is drawn after Zipf's law, one of more is flatter: most of its values are rare."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Data = Annotated[Path | None, typer.Option(help="Time this file instead, in Criteo's format.")]


@app.command()
def bench(
    rows: Annotated[int, typer.Option(min=100, help="Of the generated file.")] = 2_000_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    data: Data = None,
    once: Annotated[bool, typer.Option(hidden=True, help="One round, in this process.")] = False,  # noqa: FBT002 - typer's
) -> None:
    """Rows a second and peak memory: the median of some rounds."""
    if once and data is not None:
        typer.echo("{} {:.3f} {:.3f} {}".format(*_prepare(data)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = data or generate(Path(folder) / "train.txt", rows)
        found = [_in_a_process(path) for _ in range(rounds)]
    table = results_table(
        f"preparing {path.name}", "rows", "seconds", "CPU seconds", "rows/s", "peak memory, MB", left=0
    )
    for count, seconds, cpu, peak in found:
        table.add_row(f"{count:,}", f"{seconds:.2f}", f"{cpu:.2f}", f"{count / seconds:,.0f}", f"{peak:,}")
    results.print(table)
    median = statistics.median(count / seconds for count, seconds, _cpu, _peak in found)
    how = "compiled columns" if COMPILED else "columns in Python: no compiler was at hand"
    console.print(f"median {median:,.0f} rows/s, {how}", highlight=False)


def generate(path: Path, rows: int, seed: int = 0) -> Path:
    """Write a file of Criteo's shape."""
    random = np.random.default_rng(seed)
    columns: dict[str, pl.Series] = {LABEL: pl.Series((random.random(rows) < CLICK_RATE).astype(np.int8))}
    for name, missing, middle in zip(NUMBERS, NUMBER_MISSING, NUMBER_MIDDLE, strict=True):
        numbers_N = np.floor(random.lognormal(middle, 1.3, rows)).astype(np.int64) - (name == "I2")
        columns[name] = _with_gaps(pl.Series(numbers_N), missing, random)
    for position, (name, values) in enumerate(zip(CATEGORIES, CATEGORY_VALUES, strict=True)):
        share_N = random.random(rows)
        level_N = np.exp(share_N * np.log(values)) - 1 if values < FREQUENT else values * share_N**3
        texts = pl.Series([f"{(level * 2_654_435_761 + position) % (1 << 32):08x}" for level in range(values)])
        columns[name] = _with_gaps(texts[level_N.astype(np.int64)], CATEGORY_MISSING.get(name, 0.0), random)
    pl.DataFrame(columns).write_csv(path, separator="\t", include_header=False, quote_style="never")
    return path


def _with_gaps(column: pl.Series, missing: float, random: np.random.Generator) -> pl.Series:
    here = pl.Series(random.random(len(column)) >= missing)
    return pl.select(pl.when(here).then(column)).to_series()


def _in_a_process(path: Path) -> tuple[int, float, float, int]:
    command = [sys.executable, "-m", "training.bench_prepare", "--once", "--data", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows, seconds, cpu, peak = done.stdout.split()
    return int(rows), float(seconds), float(cpu), int(peak)


def _prepare(path: Path) -> tuple[int, float, float, int]:
    """Rows, seconds, CPU seconds of both cores and peak memory in MB of one round."""
    with tempfile.TemporaryDirectory() as folder:
        started, cpu_before = time.perf_counter(), time.process_time()
        prepared = prepare(read(CriteoOptions(), path), Path(folder) / "data")
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
    peak = _peak_kilobytes() // 1024
    return sum(prepared.meta["rows"].values()), seconds, cpu, peak


def _peak_kilobytes() -> int:
    """Of this process alone: what getrusage says goes on from the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    app()
