"""How long some worker still answers with the treatment after the kill switch is thrown, measured from answers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from loadtest.proof.asking import CONNECTIONS, TREATMENT, Asker, connected, document, kill, put
from loadtest.traffic.client import ServiceClient
from loadtest.traffic.serve import Served
from service.experiment.assignment import Assigner
from service.experiment.document import read_toml

SETTLE_S = 1.5
"""Seconds after which every worker surely has a new document."""
WATCHED_S = 2.0
"""Seconds for which answers are watched after the switch."""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """One throw of the switch."""

    last_s: float
    """Seconds from sending the kill to the last answer of the treatment; 0 when none came."""
    answers: int
    """After the kill was sent."""
    after_target: int
    """Answers of the treatment later than a second."""
    connections: tuple[int, ...]
    """Connections that each worker held."""


async def throw(served: Served, asker: Asker, phase: int) -> Switch:
    """Begin a phase, ask one of its treatment's units without a pause, throw the switch, watch."""
    toml = document(phase=phase)
    assigner = Assigner(read_toml(toml))
    unit = next(name for name in map(str, range(1000)) if assigner.assign(name, {}).arm == TREATMENT)
    await put(served, toml)
    await asyncio.sleep(SETTLE_S)
    answered: list[tuple[float, str]] = []
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(served)) for _ in range(CONNECTIONS)]
        asking = [asyncio.create_task(_ask(client, asker, unit, answered)) for client in clients]
        await asyncio.sleep(0.3)
        held = tuple(connections_of(pid, served.service.port) for pid in served.service.processes)
        thrown = perf_counter()
        await kill(served)
        await asyncio.sleep(WATCHED_S)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    if not any(arm == TREATMENT for at, arm in answered if at < thrown):
        raise RuntimeError(f"phase {phase}: unit {unit} was never answered by {TREATMENT} before the switch")
    after = [(at - thrown, arm) for at, arm in answered if at > thrown]
    treated = [at for at, arm in after if arm == TREATMENT]
    return Switch(
        last_s=max(treated, default=0.0),
        answers=len(after),
        after_target=sum(at > 1 for at in treated),
        connections=held,
    )


async def _ask(client: ServiceClient, asker: Asker, unit: str, answered: list[tuple[float, str]]) -> None:
    while True:
        arm = await asker.arm(client, unit)
        answered.append((perf_counter(), arm))


def connections_of(pid: int, port: int) -> int:
    """How many open connections to a port a process holds, from /proc."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == "01"}
    held = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            held += str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]") in inodes
    return held
