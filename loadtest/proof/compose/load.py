"""A steady load beside whatever is done to a project, and what became of every request of it.

Closed loop with a pace: so many users, each waiting for its answer and then for its turn. Enough to see whether anybody
is failed; latency through published ports of a container engine is nobody's to judge.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import aiohttp
import orjson

from service.experiment.assignment import Assigner
from service.experiment.document import Document

OK = 200
TIMEOUT_S = 10.0
CANDIDATES = 50
"""Of a request, or as many as the catalogue has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one POST /predict."""

    request_id: str
    arm: str
    """The arm of its unit, computed apart from the service."""
    sent_s: float
    done_s: float
    status: int
    """Of HTTP; 0 where no answer came."""
    answer: Mapping[str, Any]
    """The decoded answer, empty where it was no 200."""

    @property
    def failed(self) -> bool:
        """Whether it was not answered as asked."""
        return self.status != OK

    @property
    def fallback(self) -> bool:
        """Whether another model answered in place of the arm's."""
        return bool(self.answer.get("fallback"))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every request is made of: a service's own example, items of its catalogue, the experiments in force."""

    context: Mapping[str, Any]
    items: Sequence[str | int]
    assigner: Assigner

    @classmethod
    async def of(cls, session: aiohttp.ClientSession) -> Asked:
        """As a running service says."""
        example = await get(session, "/models/student/example")
        items = (await get(session, f"/models/student/items?limit={CANDIDATES}"))["values"]
        document = Document.model_validate((await get(session, "/experiment"))["document"])
        return cls(context=example["context"], items=items, assigner=Assigner(document))

    def arm(self, unit: str) -> str:
        """The arm of a unit."""
        return self.assigner.assign(unit, self.context).arm


class Load:
    """Users who ask one after another.

    Args:
        session: with the service's URL as its base.
        asked: what they ask.
        feedback: whether they say what they saw, and click on every third answer.
    """

    def __init__(self, session: aiohttp.ClientSession, asked: Asked, *, feedback: bool = False) -> None:
        self.outcomes: list[Outcome] = []
        self.accepted = self.sent = 0
        self._session, self._asked, self._feedback = session, asked, feedback
        self._run = secrets.token_hex(4)

    async def ask(self, unit: str) -> Outcome:
        """One request of a unit, and its outcome, which is kept."""
        request_id = f"{self._run}-{len(self.outcomes)}-{secrets.token_hex(4)}"
        body = {"unit": unit, "request_id": request_id, "context": self._asked.context, "items": self._asked.items}
        sent_s = monotonic()
        status, answer = await self._post("/predict", orjson.dumps(body))
        outcome = Outcome(
            request_id=request_id,
            arm=self._asked.arm(unit),
            sent_s=sent_s,
            done_s=monotonic(),
            status=status,
            answer=answer,
        )
        self.outcomes.append(outcome)
        return outcome

    async def tell(self, outcome: Outcome) -> None:
        """An impression of the first candidate, and for every third answer a click."""
        clicked = len(self.outcomes) % 3 == 0
        types = ("impression", "click") if clicked else ("impression",)
        events = [{"request_id": outcome.request_id, "position": 0, "type": kind} for kind in types]
        _, answer = await self._post("/feedback", orjson.dumps({"events": events}))
        self.sent += len(events)
        self.accepted += answer.get("accepted", 0)

    async def user(self, number: int, pace_s: float) -> None:
        """Ask for ever, as one unit after another."""
        turn = 0
        while True:
            outcome = await self.ask(f"{self._run}-{number}-{turn}")
            if self._feedback and not outcome.failed:
                await self.tell(outcome)
            turn += 1
            await asyncio.sleep(pace_s)

    async def _post(self, path: str, body: bytes) -> tuple[int, Mapping[str, Any]]:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(path, data=body, headers=headers) as response:
                content = await response.read()
        except (TimeoutError, aiohttp.ClientError):
            return 0, {}
        return response.status, orjson.loads(content) if response.status == OK else {}


@asynccontextmanager
async def client(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to one service."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(url, timeout=timeout) as session:
        yield session


@asynccontextmanager
async def under_load(load: Load, users: int = 8, pace_s: float = 0.05) -> AsyncIterator[None]:
    """While inside, `users` users ask; requests in flight at the end are forgotten."""
    tasks = [asyncio.create_task(load.user(number, pace_s)) for number in range(users)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        said = await asyncio.gather(*tasks, return_exceptions=True)
        broken = [error for error in said if isinstance(error, Exception)]
        if broken:
            raise broken[0]


async def get(session: aiohttp.ClientSession, path: str) -> Any:
    """The decoded answer to a GET; raises RuntimeError for anything but a 200."""
    async with session.get(path) as response:
        content = await response.read()
    if response.status != OK:
        raise RuntimeError(f"GET {path}: got {response.status}, expected {OK}: {content[:300]!r}")
    return orjson.loads(content)


def between(outcomes: Sequence[Outcome], from_s: float, until_s: float) -> list[Outcome]:
    """Requests sent within [from_s, until_s)."""
    return [outcome for outcome in outcomes if from_s <= outcome.sent_s < until_s]
