"""Proof that the compose project does what it promises, on one that is up: it answers, shows itself, and survives.

    docker compose -f docker/compose.yaml --profile postgres up --detach --wait
    python -m loadtest.proof.compose

$COMPOSE is what stands before `ps` and `up` where it is set. Containers are killed and all is taken down once and
brought up again: not for a project that anybody needs. Published ports go through the engine's proxy, so nothing here
is a latency to quote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import aiohttp
import typer

from loadtest.proof.checks import Check, show
from loadtest.proof.compose.bad_input import refused
from loadtest.proof.compose.basics import as_it_is
from loadtest.proof.compose.failures import replica_killed, teacher_killed
from loadtest.proof.compose.lifecycle import down_and_up
from loadtest.proof.compose.load import Asked, Load, client, under_load
from loadtest.proof.compose.panels import ask, judged, queries
from loadtest.proof.compose.project import Project
from training.progress import console


def main(
    units: Annotated[int, typer.Option(min=100, help="Units that the split is judged on.")] = 2000,
    seconds: Annotated[float, typer.Option(min=1, help="Of load before the dashboards are asked.")] = 90.0,
    dashboards: Annotated[Path, typer.Option(help="Where they are.")] = Path("docker/grafana/dashboards"),
    out: Annotated[Path, typer.Option(help="Where the checks go as JSON.")] = Path("build/proof/compose.json"),
) -> None:
    """Print target, found, met; exit with 1 if a target is missed."""
    raise typer.Exit(show("The compose project", asyncio.run(prove(Project(), units, seconds, dashboards)), out))


async def prove(project: Project, units: int, seconds: float, dashboards: Path) -> list[Check]:
    """Every check, in the order in which one leaves the project fit for the next."""
    steps: dict[str, Callable[[], Awaitable[list[Check]]]] = {
        "as it is": lambda: as_it_is(project, units),
        f"dashboards, after {seconds:g} s of load": lambda: shown(project, seconds, dashboards),
        "the teacher is killed": lambda: teacher_killed(project),
        "a replica is killed": lambda: replica_killed(project),
        "bad input": lambda: asyncio.to_thread(refused, project),
        "down and up": lambda: down_and_up(project),
    }
    checks = []
    for step, taken in steps.items():
        console.print(f"compose: {step}", highlight=False)
        try:
            checks += await taken()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:  # what was found before and is found after counts
            checks.append(Check(what=step, target="an end", found=f"{type(error).__name__}: {error}"[:300], met=False))
    return checks


async def shown(project: Project, seconds: float, dashboards: Path) -> list[Check]:
    """Every panel under load, and what the containers take then."""
    prometheus = project.url("prometheus", 9090)
    async with client(project.url("student", 8000)) as session:
        load = Load(session, await Asked.of(session), feedback=True)
        async with under_load(load):
            await asyncio.sleep(seconds)
            found = await ask(prometheus, queries(dashboards))
            usage = await asyncio.to_thread(project.usage)
    taken = [
        Check(what=f"{one.service}: CPU, memory", target="", found=f"{one.cpu}, {one.memory}", met=None)
        for one in usage
    ]
    return [*judged(found), *taken]


if __name__ == "__main__":
    typer.run(main)
