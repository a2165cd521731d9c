"""What a project does while parts of it are killed or all of it is taken down: who is failed, who answers instead."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import aiohttp

from loadtest.proof.checks import Check
from loadtest.proof.compose.load import OK, Asked, Load, Outcome, between, client, under_load
from loadtest.proof.compose.project import Project

BESIDE_S = 5.0
"""Seconds of load before something is done, and of what is judged afterwards."""
PROXY = "nginx"


@dataclass(frozen=True, kw_only=True)
class Moments:
    """When what was done to a service under load, on the monotonic clock; killing ends a little before its command."""

    kill_s: float
    killed_s: float
    start_s: float
    started_s: float


async def kill_under_load(project: Project, service: str, load: Load) -> Moments:
    """Kill a service while there is load, leave it dead for a while, start it again and wait until it is healthy."""
    async with under_load(load):
        await asyncio.sleep(BESIDE_S)
        kill_s = monotonic()
        await asyncio.to_thread(project.run, "kill", service)
        killed_s = monotonic()
        await asyncio.sleep(BESIDE_S)
        start_s = monotonic()
        await asyncio.to_thread(project.up, service)
        started_s = monotonic()
        await asyncio.sleep(BESIDE_S)
    return Moments(kill_s=kill_s, killed_s=killed_s, start_s=start_s, started_s=started_s)


async def teacher_killed(project: Project) -> list[Check]:
    """Kill the teacher: the student does not notice, the teacher's units get its answers until the teacher is back."""
    async with client(project.url("student", 8000)) as session:
        load = Load(session, await Asked.of(session))
        unready: list[str] = []
        watching = asyncio.create_task(_watch_ready(session, unready))
        moments = await kill_under_load(project, "teacher", load)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    return [*judged_teacher(load.outcomes, moments), _ready(unready)]


async def _watch_ready(session: aiohttp.ClientSession, unready: list[str]) -> None:
    while True:
        async with session.get("/readyz") as response:
            if response.status != OK:
                unready.append((await response.text())[:200])
        await asyncio.sleep(0.1)


def _ready(unready: Sequence[str]) -> Check:
    found = f"{len(unready)}" + (f" ({unready[0]})" if unready else "")
    return Check(what="teacher killed: student found unready", target="0", found=found, met=not unready)


def judged_teacher(outcomes: Sequence[Outcome], moments: Moments) -> list[Check]:
    """What became of both arms before, while and after the teacher was dead."""
    own = [one for one in outcomes if one.arm == "student"]
    other = [one for one in outcomes if one.arm == "teacher"]
    dead = between(other, moments.killed_s, moments.start_s)
    back = between(other, moments.started_s, float("inf"))
    own_dead = between(own, moments.kill_s, moments.start_s)
    failed_own, failed_other = sum(one.failed for one in own), sum(one.failed for one in other)
    replaced, recovered = sum(one.fallback for one in dead), sum(not one.fallback for one in back)
    first = next((one.done_s for one in other if one.sent_s > moments.start_s and not one.fallback), None)
    again = "never" if first is None else f"{first - moments.start_s:.1f} s after its start"
    return [
        Check(
            what=f"teacher killed: failed requests of the student's arm, of {len(own)} ({len(own_dead)} meanwhile)",
            target="0",
            found=f"{failed_own}",
            met=failed_own == 0 < len(own_dead),
        ),
        Check(
            what=f"teacher killed: failed requests of the teacher's arm, of {len(other)}",
            target="0",
            found=f"{failed_other}",
            met=failed_other == 0,
        ),
        Check(
            what="teacher killed: its units answered by the student",
            target=f"{len(dead)}",
            found=f"{replaced}",
            met=replaced == len(dead) > 0,
        ),
        Check(
            what="teacher back and healthy: its units answered by it",
            target="most",
            found=f"{recovered} of {len(back)}, the first {again}",
            met=2 * recovered > len(back),
        ),
    ]


async def replica_killed(project: Project) -> list[Check]:
    """Kill one of two replicas behind a proxy, where there are any: nobody is failed but who was in flight on it."""
    if PROXY not in project.containers():
        return []
    async with client(project.url(PROXY, 8080)) as session:
        load = Load(session, await Asked.of(session))
        moments = await kill_under_load(project, "replica-1", load)
    return judged_replica(load.outcomes, moments)


def judged_replica(outcomes: Sequence[Outcome], moments: Moments) -> list[Check]:
    """How many requests failed, against how many were in flight when the replica died."""
    dead = between(outcomes, moments.killed_s, moments.start_s)
    in_flight = sum(one.sent_s <= moments.killed_s and one.done_s >= moments.kill_s for one in outcomes)
    failed = sum(one.failed for one in outcomes)
    slowest = max((one.done_s - one.sent_s for one in between(outcomes, moments.kill_s, moments.start_s)), default=0.0)
    answered = sum(not one.failed for one in dead)
    return [
        Check(
            what=f"one of two replicas killed: failed requests, of {len(outcomes)}",
            target="0",
            found=f"{failed} ({in_flight} were in flight between kill and its end)",
            met=failed == 0,
        ),
        Check(
            what="one of two replicas dead: answered by the other",
            target=f"{len(dead)}",
            found=f"{answered}, the slowest after {1e3 * slowest:.0f} ms",
            met=answered == len(dead) > 0,
        ),
    ]
