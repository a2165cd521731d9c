"""Progress of long work: a bar with rows per second and time left on a terminal, one line per epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

console = Console(stderr=True, soft_wrap=True, width=None if sys.stderr.isatty() else 100)
"""What is going on: bars, lines, errors."""
results = Console(width=None if sys.stdout.isatty() else 100)
"""What came out: tables and JSON, on standard output."""

_REFRESH_SECONDS = 0.1


def results_table(title: str, *columns: str, left: int = 1) -> Table:
    """A table that fits 80 columns; the first `left` columns hold text, the others numbers."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < left else "right", no_wrap=position >= left)
    return table


class _RowsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} rows/s", style="cyan")


class Progress:
    """Bars and lines for one training phase."""

    def __init__(self, phase: str, bars: Bars | None = None) -> None:
        self._phase = phase
        self._bars = bars
        self._task = None if bars is None else bars.add_task(phase, total=None)
        self._pending = 0
        self._shown_at = 0.0
        self._started_at = 0.0
        self._rows = 0

    def epoch_starts(self, epoch: int, *, rows: int) -> None:
        """A new epoch of this many rows begins."""
        self._started_at, self._rows, self._pending = time.monotonic(), rows, 0
        if self._bars is not None and self._task is not None:
            self._bars.reset(self._task, total=rows, description=f"{self._phase} epoch {epoch}")

    def advance(self, rows: int) -> None:
        """Some rows more are done; the screen is touched ten times a second at most."""
        self._pending += rows
        now = time.monotonic()
        if self._bars is not None and self._task is not None and now - self._shown_at > _REFRESH_SECONDS:
            self._bars.advance(self._task, self._pending)
            self._pending, self._shown_at = 0, now

    def epoch_done(self, metrics: Mapping[str, float], *, best_epoch: int) -> None:
        """Print one line for the epoch: validation metrics, and a star if it is the best so far."""
        seconds = time.monotonic() - self._started_at
        gap = f" gap {metrics['validation_logit_gap']:.4f}" if "validation_logit_gap" in metrics else ""
        mark = " *" if metrics["epoch"] == best_epoch else ""
        console.print(
            f"{self._phase:>8} {metrics['epoch']:>2.0f} {seconds:6.1f} s {self._rows / seconds:>8,.0f} rows/s"
            f"  loss {metrics['train_loss']:<7.4g} AUC {metrics['validation_auc']:.5f}"
            f" log loss {metrics['validation_log_loss']:.5f}{gap}{mark}",
            highlight=False,
        )


@contextmanager
def phase_progress(phase: str) -> Iterator[Progress]:
    """Progress of a phase; bars only where somebody can see them move."""
    if not sys.stderr.isatty():
        yield Progress(phase)
        return
    columns = (
        TextColumn("{task.description:>18}"),
        BarColumn(),
        _RowsPerSecond(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield Progress(phase, bars)


@contextmanager
def steps(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar over some steps, with time left; call what it yields with each step's name before the step."""
    started = time.monotonic()
    columns = (TextColumn("{task.description:>28}"), BarColumn(), TextColumn("{task.completed}/{task.total} steps"))
    shown = sys.stderr.isatty()
    with Bars(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not shown) as bars:
        task = bars.add_task(what, total=total, completed=-1)
        yield lambda step: bars.update(task, advance=1, description=f"{what}: {step}")
    console.print(f"{what}: {time.monotonic() - started:.1f} s", highlight=False)


@contextmanager
def rows_bar(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar with rows per second and time left.

    Call what it yields with the rows done and how far of `total` that is: in bytes of files read, or in rows.
    """
    started, shown_at, rows_done = time.monotonic(), 0.0, 0
    columns = (
        TextColumn("{task.description:>18}"),
        BarColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
    )
    with Bars(
        *columns,
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bars:
        task = bars.add_task(what, total=total, speed="")

        def report(rows: int, position: int) -> None:
            nonlocal shown_at, rows_done
            rows_done, now = rows, time.monotonic()
            if now - shown_at > _REFRESH_SECONDS:
                speed = f"{rows:,} rows, {rows / (now - started):,.0f} rows/s"
                bars.update(task, completed=position, speed=speed)
                shown_at = now

        yield report
    seconds = time.monotonic() - started
    console.print(
        f"{what}: {rows_done:,} rows, {rows_done / max(seconds, _REFRESH_SECONDS):,.0f} rows/s", highlight=False
    )


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say what is being done, and afterwards how long it took."""
    started = time.monotonic()
    with console.status(what):
        yield
    console.print(f"{what}: {time.monotonic() - started:.1f} s", highlight=False)


@contextmanager
def download_bar(what: str) -> Iterator[Bars]:
    """A bar with bytes, rate and time left."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console) as bars:
        yield bars
