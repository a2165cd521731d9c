"""Asks a running service for the arms of units, over connections that are really different ones."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from loadtest.traffic.client import OK, ServiceClient
from loadtest.traffic.offers import Offers
from loadtest.traffic.serve import Served
from loadtest.traffic.users import Visit
from service.bundle import read_bundle

CONNECTIONS = 24
"""Open at once: with two workers each holds some of them."""
TREATMENT = "treatment"


def document(*, ramp: float = 100.0, phase: int = 1) -> str:
    """TOML of one experiment; its arms have other names than models, so that an answer tells who was assigned."""
    return f"""
default = "student"

[[experiments]]
name = "stickiness"
phase = {phase}
ramp = {ramp}
arms = [
  {{ name = "control", model = "student", weight = 5000 }},
  {{ name = "{TREATMENT}", model = "student", weight = 5000 }},
]
"""


@asynccontextmanager
async def connected(served: Served) -> AsyncIterator[ServiceClient]:
    """A client with a single connection of its own."""
    connector = aiohttp.TCPConnector(limit=1)
    headers = {"Authorization": f"Bearer {served.admin_token}"}
    async with aiohttp.ClientSession(served.url, connector=connector, headers=headers) as session:
        yield ServiceClient(session)


class Asker:
    """Asks about units in requests that a bundle's service reads.

    Args:
        bundle: the student's.
    """

    def __init__(self, bundle: Path) -> None:
        self._offers = Offers(read_bundle(bundle), candidates=2, seed=0)
        self._asked, self._name = 0, secrets.token_hex(4)

    async def arms(self, served: Served, units: Sequence[str]) -> dict[str, str]:
        """Unit → arm, asked over all connections at once; raises RuntimeError if one is not answered."""
        found: dict[str, str] = {}
        left = iter(units)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(served)) for _ in range(CONNECTIONS)]
            await asyncio.gather(*(self._ask(client, left, found) for client in clients))
        return found

    async def arm(self, client: ServiceClient, unit: str) -> str:
        """The arm that answers a unit; raises RuntimeError if none does."""
        visit = Visit(self._asked, 0, 0)
        self._asked += 1
        request = self._offers.body(visit, unit, f"asked-{self._name}-{visit.number}", self._offers.drawn(visit))
        answer = await client.predict(request)
        if answer is None:
            raise RuntimeError(f"unit {unit}: no answer, expected an arm: {client.said.details}")
        return answer.arm

    async def _ask(self, client: ServiceClient, units: Iterator[str], found: dict[str, str]) -> None:
        for unit in units:
            found[unit] = await self.arm(client, unit)


async def put(served: Served, toml: str) -> None:
    """Put a document in force; raises RuntimeError if it is refused."""
    headers = {"Content-Type": "application/toml"}
    await _admin(served, "PUT", "/experiment", toml.encode(), headers)


async def kill(served: Served) -> None:
    """Throw the kill switch of every experiment; raises RuntimeError if it is refused."""
    headers = {"Content-Type": "application/json"}
    await _admin(served, "POST", "/experiment/kill", b'{"experiment": null, "reason": "proof"}', headers)


async def _admin(served: Served, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
    bearer = {"Authorization": f"Bearer {served.admin_token}"}
    async with (
        aiohttp.ClientSession(served.url) as session,
        session.request(method, path, data=body, headers={**headers, **bearer}) as answer,
    ):
        if answer.status != OK:
            raise RuntimeError(f"{method} {path}: got {answer.status}, expected {OK}: {await answer.text()}")
