"""Metrics of several workers: each keeps its values in files of one directory, a scrape of any adds up all files.

The supervisor makes the directory and names it in MULTIPROCESS before a worker imports the client library. A dead
worker's counters and histograms stay, so no sum ever goes down; its gauges, all of `live` modes, are removed.

Source: prometheus/client_python, "Multiprocess Mode".
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The client library's own variable: a directory where the workers of one service keep their values."""


def shared_directory() -> Path | None:
    """The workers' directory; None in a process that is alone."""
    directory = os.environ.get(MULTIPROCESS)
    return Path(directory) if directory else None


class AllWorkers(Collector):
    """The values of every worker, dead ones included, read from the files in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        """Counters and histograms added up, gauges by their mode."""
        files = [str(path) for path in self._files()]
        families: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return families

    def _files(self) -> Iterable[Path]:
        for path in self._directory.glob("*.db"):
            with suppress(FileNotFoundError):  # a dead worker's gauges are removed meanwhile
                if path.stat().st_size:  # empty for an instant while it is made
                    yield path


def forget_gauges(pid: int, directory: Path) -> None:
    """Remove what a dead worker last said about itself."""
    mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]
