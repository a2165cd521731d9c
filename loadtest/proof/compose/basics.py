"""What a project does while nothing is done to it: it is ready, answers, splits its units, keeps what they did."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from math import sqrt

import aiohttp
import orjson

from loadtest.proof.checks import Check
from loadtest.proof.compose.load import Asked, Load, Outcome, client, get
from loadtest.proof.compose.project import Container, Project

ONE_SHOT = frozenset({"trainer", "secrets"})
Z = 3.29
"""Standard deviations outside which an even split lies once in a thousand runs."""
UNAUTHORIZED, FORBIDDEN = 401, 403
TOGETHER = 8
"""Requests at once."""


async def as_it_is(project: Project, units: int) -> list[Check]:
    """Health, readiness, and what many units are answered."""
    url = project.url("student", 8000)
    checks = [healthy(list(project.containers().values()))]
    async with client(url) as session:
        ready = await get(session, "/readyz")
        checks.append(await closed(session))
    found = f"{ready['status']}, {ready['arms']}"
    checks.append(Check(what="/readyz", target="ready", found=found, met=ready["status"] == "ready"))
    return checks + await split(url, units, await models_of(project, url))


async def closed(session: aiohttp.ClientSession) -> Check:
    """Whether somebody without the admin token is refused what everybody would see."""
    body = {"experiment": None, "reason": "a proof that asks for what it must not get"}
    async with session.post("/experiment/kill", json=body) as response:
        status = response.status
    met = status in {UNAUTHORIZED, FORBIDDEN}
    return Check(what="kill switch without the admin token", target="401 or 403", found=f"{status}", met=met)


def healthy(containers: Sequence[Container]) -> Check:
    """Whether everything runs and is healthy, and what runs once ended well."""
    bad = []
    for one in containers:
        if one.service in ONE_SHOT:
            well = one.state == "exited" and one.exit_code == 0
        else:
            well = one.state == "running" and one.health in {"healthy", ""}
        if not well:
            bad.append(f"{one.service} {one.state} {one.health or one.exit_code}")
    return Check(
        what="containers up and healthy, one-shots ended with 0",
        target=f"{len(containers)}",
        found=f"{len(containers) - len(bad)}" + (f" ({'; '.join(bad)})" if bad else ""),
        met=not bad,
    )


async def models_of(project: Project, url: str) -> dict[str, str]:
    """Arm → the model that is to answer it, as each service says of itself."""
    async with client(url) as session:
        student = (await get(session, "/models"))["arms"]["student"]["model"]
    inside = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/models').read().decode())"
    said = await asyncio.to_thread(project.execute, "teacher", "python", "-c", inside)
    return {"student": student, "teacher": orjson.loads(said)["arms"]["student"]["model"]}


async def split(url: str, units: int, models: dict[str, str]) -> list[Check]:
    """Ask for many units, tell what each did, and see who answered whom."""
    async with client(url) as session:
        asked = await Asked.of(session)
        load = Load(session, asked, feedback=True)
        names = iter([f"split-{number}" for number in range(units)])

        async def some() -> None:
            for name in names:
                outcome = await load.ask(name)
                if not outcome.failed:
                    await load.tell(outcome)

        await asyncio.gather(*(some() for _ in range(TOGETHER)))
    return [answered(load.outcomes, len(asked.items)), *shared(load.outcomes, models), stored(load)]


def answered(outcomes: Sequence[Outcome], size: int) -> Check:
    """Whether every request got a probability per candidate."""
    good = sum(not one.failed and len(one.answer["probabilities"]) == size for one in outcomes)
    return Check(
        what=f"/predict of {size} candidates answered with as many probabilities",
        target=f"{len(outcomes)}",
        found=f"{good}",
        met=good == len(outcomes),
    )


def shared(outcomes: Sequence[Outcome], models: dict[str, str]) -> list[Check]:
    """Whether the arms hold their shares, as computed apart, each answered by its own model."""
    units = len(outcomes)
    arms = Counter(str(one.answer.get("arm")) for one in outcomes)
    bound = Z * sqrt(units * 0.25)
    off = abs(arms["student"] - units / 2)
    same = sum(one.answer.get("arm") == one.arm for one in outcomes)
    right = sum(one.answer.get("model") == models["student" if one.fallback else one.arm] for one in outcomes)
    teachers = [one for one in outcomes if one.arm == "teacher"]
    itself = sum(not one.fallback and not one.failed for one in teachers)
    return [
        Check(
            what=f"{units} units: student's arm",
            target=f"{units // 2} ± {bound:.0f}",
            found=f"{arms['student']} ({arms['student'] / units:.1%}), teacher's {arms['teacher']}",
            met=off <= bound,
        ),
        Check(what="arm as computed apart", target=f"{units}", found=f"{same}", met=same == units),
        Check(
            what="answered by the arm's model, or marked as fallback and by the student",
            target=f"{units}",
            found=f"{right}",
            met=right == units,
        ),
        Check(
            what="units of the teacher's arm that it answered itself within its deadline",
            target="most",
            found=f"{itself} of {len(teachers)}",
            met=2 * itself > len(teachers),
        ),
    ]


def stored(load: Load) -> Check:
    """Whether all feedback was taken."""
    return Check(
        what="feedback events accepted",
        target=f"{load.sent}",
        found=f"{load.accepted}",
        met=0 < load.sent == load.accepted,
    )
