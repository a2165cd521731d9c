"""A service of its own for a run: given bundles and experiment, a fresh event store, a free port."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.bench_workers import Service, serving

EXPERIMENT = """\
default = "student"

[[experiments]]
name = "traffic"
arms = [
  { name = "control", model = "student", weight = 5000 },
  { name = "treatment", model = "student", weight = 5000 },
]
"""
"""What is run where nothing else is given: two arms of one model, which differ by an injected lift alone."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A service that runs an experiment."""

    service: Service
    settings: Mapping[str, str]
    """Variables that it was started with."""
    store: str
    """URL of its event store."""
    admin_token: str

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.service.port}"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to serve."""

    student: Path
    teacher: Path | None = None
    experiment: str = ""
    """TOML of the experiments to begin with; empty for none."""
    workers: int = 1
    tokens: bool = False
    """Whether answers are signed."""
    attribution_s: float | None = None
    """Seconds in which clicks count; the service's own default without."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further variables of its settings."""
    store: str | None = None
    """URL of the event store, empty for none; a new SQLite file where it is left out."""
    core: int | None = None
    """The only one it may use; any without."""


@contextmanager
def experiment_service(wanted: Wanted, folder: Path) -> Iterator[Served]:
    """The service while it runs; its experiment and its events are files in `folder`.

    Raises:
        RuntimeError: it does not come up; standard error says why.
    """
    admin_token = secrets.token_urlsafe(16)
    store = f"sqlite:{folder / 'events.sqlite3'}" if wanted.store is None else wanted.store
    settings = _settings(wanted, folder, store, admin_token)
    with serving(wanted.student, wanted.workers, settings, wanted.core) as service:
        yield Served(service=service, settings=settings, store=store, admin_token=admin_token)


def _settings(wanted: Wanted, folder: Path, store: str, admin_token: str) -> Mapping[str, str]:
    settings = {
        "CTR_EVENTS": store,
        "CTR_ADMIN_TOKEN": admin_token,
        "CTR_TEACHER_BUNDLE": str(wanted.teacher or wanted.student),  # an unset one would be looked for in bundles/
    }
    if wanted.experiment:
        document = folder / "experiment.toml"
        document.write_text(wanted.experiment)
        settings["CTR_EXPERIMENT"] = str(document)
    if wanted.tokens:
        settings["CTR_TOKEN_KEY"] = secrets.token_urlsafe(32)
    if wanted.attribution_s is not None:
        settings["CTR_ATTRIBUTION_HOURS"] = repr(wanted.attribution_s / 3600)
    return {**settings, **wanted.more}


def report(served: Served, *options: str) -> str:
    """What `python -m service report` prints, under the settings that the service runs under.

    Raises:
        RuntimeError: it ends with an error; with what it said.
    """
    command = [sys.executable, "-m", "service", "report", *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**kept, **served.settings})
    if ended.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` ended with {ended.returncode}: {ended.stderr.strip()[-500:]}")
    return ended.stdout
