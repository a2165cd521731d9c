"""Feedback on its way: collected over visits, sent in bulk, some of it held back or spoiled on purpose."""

from __future__ import annotations

import asyncio
from collections import Counter

from loadtest.traffic.client import ServiceClient
from loadtest.traffic.misbehaviour import LATE, Event, Misbehaviour


class Outbox:
    """Sends feedback through a client.

    Args:
        client: of the service.
        misbehaviour: what to do wrong.
        seed: decides where.
        bulk: events of one POST /feedback.
    """

    def __init__(self, client: ServiceClient, misbehaviour: Misbehaviour, *, seed: int, bulk: int) -> None:
        self.sent: Counter[str] = Counter()
        """Kind of misbehaviour → events; `events` counts all, good ones too."""
        self.tokens = False
        """Whether answers carried tokens."""
        self._client, self._misbehaviour, self._seed, self._bulk = client, misbehaviour, seed, bulk
        self._due: list[Event] = []
        self._held: list[Event] = []

    def put(self, visit: int, events: list[Event]) -> bool:
        """Queue the events of a visit; whether they will be too late to count."""
        self.tokens = self.tokens or any("token" in event for event in events)
        late = self._misbehaviour.is_late(self._seed, visit)
        if late:
            self.sent[LATE] += len(events)
            self._held += events
        else:
            events = self._misbehaviour.added(self._seed, visit, events, self.sent)
            self._due += events
        self.sent["events"] += len(events)
        return late

    async def send_full(self) -> None:
        """Send what is queued if it fills a bulk."""
        if len(self._due) >= self._bulk:
            await self._send()

    async def send_rest(self, attribution_s: float) -> None:
        """Send everything, what was held back only when so many seconds have passed."""
        await self._send()
        if self._held:
            await asyncio.sleep(attribution_s)
            self._due, self._held = self._held, []
            await self._send()

    async def _send(self) -> None:
        events, self._due = self._due, []  # what is queued meanwhile is the next one's
        for first in range(0, len(events), self._bulk):
            await self._client.feedback(events[first : first + self._bulk])
