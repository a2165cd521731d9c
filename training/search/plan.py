"""A search on disk: its points as runs, and the phases they share, each trained once.

    data/KEY/                  what prepare wrote, one folder unless the grid is over [data]
    phases/teach-KEY/ …        every distinct phase, named by what it depends on; seconds.json when it has ended
    teacher_logits/            what teachers say of the rows, for all points
    points/NAME/               a run: config.toml, and links to all of these
    results.jsonl              a line per point
    results.png, best.toml     metric against value for every key; the configuration that validation prefers

A phase depends on the sections of its own and of the phases before it: a grid over [finetune] trains one teacher and
one student. Names are digests of these sections, so a search that is killed, widened or narrowed goes on with what is
there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.config import Config, from_dict
from training.run import Run, prepare_once

STAGES = ("teach", "distill", "finetune")
"""What is trained as one: all teachers, the student, the student on clicks."""

_LATER: Mapping[str, Sequence[str]] = {
    "teach": ("student", "distill", "finetune"),
    "distill": ("finetune",),
    "finetune": (),
}
"""Sections that a stage does not depend on."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One combination of values.

    Attributes:
        chosen: key → value, as the grid spells them.
        run: a run directory whose phases are links.
        jobs: the names of its phases, first to last.
    """

    chosen: Mapping[str, Any]
    run: Run
    jobs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One phase to train, in the directory of any point that has it.

    Attributes:
        name: the phase and a digest of what it depends on.
        phase: of STAGES.
        run: directory of the run to train it in.
        folder: its own, shared by every point that links to it.
        needs: the job of the phase before.
    """

    name: str
    phase: str
    run: Path
    folder: Path
    needs: str | None


def point_of(root: Path, chosen: Mapping[str, Any], config: Config, *, source: Path | None, until: str) -> Point:
    """A point with its run directory: data are prepared, phases are linked but not trained.

    Args:
        root: of the search.
        chosen: what the point sets.
        config: what that gives.
        source: raw data.
        until: the last stage that counts; later ones are not trained.
    """
    sections = config.to_dict()
    settings = {**sections, "run": {**sections["run"], "threads": 1}}
    settings["run"].pop("name")
    name = _key(settings)
    named = from_dict({**settings, "run": {**settings["run"], "name": name}}, f"point {name}")
    run = Run.open(root / "points", named)
    _link(run.directory / "data", _prepared(root, config, source))
    _link(run.directory / "teacher_logits", root / "teacher_logits")
    jobs = []
    for stage in [stage for stage in stages_of(run) if STAGES.index(stage) <= STAGES.index(until)]:
        kept = {section: keys for section, keys in settings.items() if section not in _LATER[stage]}
        jobs.append(f"{stage}-{_key(kept)}")
        for folder in stages_of(run)[stage]:
            _link(run.directory / folder, root / "phases" / jobs[-1] / folder)
    return Point(chosen=chosen, run=run, jobs=tuple(jobs))


def jobs_of(points: Sequence[Point]) -> dict[str, Job]:
    """Name → job, each distinct one once, after what it needs."""
    jobs: dict[str, Job] = {}
    for phase in STAGES:
        for point in points:
            for needs, name in zip((None, *point.jobs), point.jobs, strict=False):
                if name.startswith(f"{phase}-"):
                    run = point.run.directory
                    folder = run.parents[1] / "phases" / name
                    jobs.setdefault(name, Job(name=name, phase=phase, run=run, folder=folder, needs=needs))
    return jobs


def stages_of(run: Run) -> dict[str, tuple[str, ...]]:
    """Stage → folders of its phases, of the stages that a run has, in order: teachers may be several, or from elsewhere
    alone, or learn along with the student; fine-tuning may be left out.
    """
    teachers = tuple(run.teach_phase(teacher.name) for teacher in run.own_teachers)
    before = {"teach": teachers} if teachers and run.config.distill.scheme != "co_train" else {}
    after = {"finetune": ("finetune",)} if run.config.run.finetune else {}
    return {**before, "distill": ("distill",), **after}


def _prepared(root: Path, config: Config, source: Path | None) -> Path:
    folder = root / "data" / _key(config.to_dict()["data"])
    if not (folder / "prepared.json").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        prepare_once(folder, config.data, source)
    return folder


def _link(link: Path, target: Path) -> None:
    """A relative link, so that a search can be moved; one that is there leads to the same, being named by a digest."""
    target.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(Path("..", "..") / target.relative_to(link.parents[2]))


def _key(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
