"""Down and up again: what a project keeps, and how long it takes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep

from loadtest.proof.checks import Check
from loadtest.proof.compose.basics import models_of
from loadtest.proof.compose.load import Asked, Load, client, get
from loadtest.proof.compose.project import Container, Project

_COUNT = (
    "import sqlite3; c = sqlite3.connect('/events/events.sqlite3'); "
    "print(*(c.execute(f'SELECT COUNT(*) FROM {t}').fetchone()[0] for t in ('exposure', 'feedback')))"
)
SETTLE_S = 0.5
LOCUST = "locust"
KILLED = 128 + signal.SIGKILL
"""Exit code of a container that did not end when it was told to."""
AGAIN = "nothing to do"
"""What the trainer says where there are bundles."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is to survive."""

    models: dict[str, str]
    exposures: int
    feedback: int
    revision: int
    """Of the experiments in force."""


async def down_and_up(project: Project) -> list[Check]:
    """Take everything down but the volumes, bring it up again and ask."""
    before = await kept(project)
    stop_s = await _timed(project.run, "stop")
    ended = project.containers().values()
    down_s = await _timed(project.run, "down")
    up_s = await _timed(project.up)
    after = await kept(project)
    said = project.run("logs", "--no-log-prefix", "trainer")
    url = project.url("student", 8000)
    async with client(url) as session:
        outcome = await Load(session, await Asked.of(session)).ask("after-the-restart")
    return [
        stopped(list(ended), stop_s),
        Check(
            what="down and up again until all is healthy, seconds",
            target="",
            found=f"{down_s:.1f} + {up_s:.1f}",
            met=None,
        ),
        *survived(before, after, " ".join(said.split())),
        Check(what="/predict after it", target="200", found=f"{outcome.status}", met=not outcome.failed),
    ]


def stopped(ended: Sequence[Container], took_s: float) -> Check:
    """Whether everything ended by itself when it was told to."""
    killed = [f"{one.service} {one.exit_code}" for one in ended if one.exit_code == KILLED]
    return Check(
        what="stop: containers that had to be killed",
        target="none",
        found=f"{', '.join(killed) or 'none'}, after {took_s:.1f} s",
        met=not killed,
    )


def survived(before: Kept, after: Kept, said: str) -> list[Check]:
    """Whether the bundles are the same, and events and experiments still there; load may have brought more."""
    more = after.exposures >= before.exposures > 0 and after.feedback >= before.feedback
    return [
        Check(
            what="bundles are not made again",
            target=f"{AGAIN!r}, the same models",
            found=said[-60:],
            met=AGAIN in said and before.models == after.models,
        ),
        Check(
            what="events and experiments survive",
            target=f"{before.exposures} exposures, {before.feedback} feedback, revision {before.revision} at least",
            found=f"{after.exposures} exposures, {after.feedback} feedback, revision {after.revision}",
            met=more and before.revision <= after.revision,
        ),
    ]


async def kept(project: Project) -> Kept:
    """What the student has now, with nobody's load."""
    if LOCUST in project.containers():
        await asyncio.to_thread(project.run, "stop", LOCUST)
    url = project.url("student", 8000)
    async with client(url) as session:
        revision = (await get(session, "/experiment"))["revision"]
    exposures, feedback = await asyncio.to_thread(_settled, project)
    models = await models_of(project, url)
    return Kept(models=models, exposures=exposures, feedback=feedback, revision=revision)


def _settled(project: Project) -> tuple[int, int]:
    """Rows of exposures and feedback, when two looks see the same."""
    last, now = None, _counts(project)
    while last != now:
        sleep(SETTLE_S)
        last, now = now, _counts(project)
    return now


def _counts(project: Project) -> tuple[int, int]:
    exposures, feedback = project.execute("student", "python", "-c", _COUNT).split()
    return int(exposures), int(feedback)


async def _timed(function: Callable[..., object], *arguments: str) -> float:
    started = monotonic()
    await asyncio.to_thread(function, *arguments)
    return monotonic() - started
