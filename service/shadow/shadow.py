"""The worker's side of a shadow: offers what was answered, keeps a child process alive, counts what becomes of it.

`offer` is all that the request path sees of it: a draw, a system call that never waits, a count. Everything else
happens on a thread that sleeps but for a few reports a second.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from threading import Event, Thread

from service.api.answers import Probabilities
from service.metrics import Metrics
from service.settings import Settings
from service.shadow.brief import Brief, brief_of
from service.shadow.instruments import LOST, Instruments
from service.shadow.message import AnsweredBy, Offer, Refusal
from service.shadow.process import DRAIN_S, ShadowProcess

FIRST_WAIT_S = 0.5
"""Seconds before a child that died is replaced; doubled with every death of one that had reported nothing."""
LONGEST_WAIT_S = 60.0

logger = logging.getLogger(__name__)


class Shadow:
    """Has a share of the answers of one model scored by another; see the package.

    Args:
        brief: what the child is told; its models are those that may be compared.
        instruments: what counts.
    """

    def __init__(self, brief: Brief, instruments: Instruments) -> None:
        self._brief = brief
        self._instruments = instruments
        self._share = 0.0
        self._others: Mapping[str, str] = {}
        self._process: ShadowProcess | None = None
        self._changed = Event()
        self._closing = False
        self._thread: Thread | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Begin to watch over a child, which is started as soon as the share is above 0."""
        self._thread = Thread(target=self._watch, name="shadow", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the child when it has scored what waits, or after DRAIN_S; what waits then is dropped and counted."""
        self._share = 0.0
        self._closing = True
        self._wake()
        if self._thread is not None:
            self._thread.join(3 * DRAIN_S)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started while inside."""
        self.start()
        try:
            yield
        finally:
            self.close()

    def configure(self, share: float, models: Sequence[str]) -> None:
        """Compare a share in [0, 1] of the answers of either of two models with the other's, from now on.

        With a share of 0 there is no child. Any thread.

        Raises:
            ValueError: there is no such model.
        """
        first, second = models
        unknown = {first, second} - self._brief.models.keys()
        if share and unknown:
            raise ValueError(f"shadow.models: got {sorted(unknown)}, expected two of {sorted(self._brief.models)}")
        self._others = {first: second, second: first}
        self._share = share
        self._wake()

    def offer(
        self,
        body: bytes,
        probabilities_N: Probabilities,
        answered_by: AnsweredBy,
        *,
        latency_s: float,
        request_id: str,
    ) -> None:
        """Offer an answered request to the shadow, or do nothing; never waits and never raises. From one thread.

        Args:
            body: the request's, as JSON.
            probabilities_N: of its N candidates.
            answered_by: the model that answered.
            latency_s: seconds it took.
            request_id: of the answer.
        """
        share = self._share
        other = self._others.get(answered_by.name)
        if other is None or (share < 1.0 and random.random() >= share):  # noqa: S311 - a sample, no secret
            return
        process = self._process
        if process is None:
            self._instruments.drop(Refusal.NO_CHILD.value)
            return
        if process.full:
            self._instruments.drop(Refusal.FULL.value)
            return
        now_ms = time.time_ns() // 1_000_000
        offer = Offer(answered_by, other, request_id, now_ms, latency_s, body, probabilities_N)
        refusal = process.send(offer)
        if refusal is not None:
            self._instruments.drop(refusal.value)

    def _wake(self) -> None:
        self._changed.set()
        process = self._process
        if process is not None:
            process.wake()

    def _wanted(self) -> bool:
        return self._share > 0.0 and not self._closing

    def _watch(self) -> None:
        """Keep a child while one is wanted."""
        wait_s = FIRST_WAIT_S
        while not self._closing:
            if not self._wanted():
                self._changed.wait()
                self._changed.clear()
                wait_s = FIRST_WAIT_S
                continue
            reported = self._keep_one()
            if self._wanted():
                self._instruments.restarts.inc()
                logger.warning("the shadow's process died, another takes its place in %g s", wait_s)
                if self._changed.wait(wait_s):
                    self._changed.clear()
                wait_s = FIRST_WAIT_S if reported else min(2 * wait_s, LONGEST_WAIT_S)

    def _keep_one(self) -> bool:
        """Start a child and see it to its end; whether it reported anything."""
        self._changed.clear()
        try:
            process = ShadowProcess.start(self._brief)
        except OSError:
            logger.exception("the shadow's process cannot be started")
            return False
        self._process = process
        reported = process.watch(self._wanted, self._instruments.apply)
        self._process = None
        lost = process.end()
        if lost:
            self._instruments.drop(LOST, lost)
        return reported


def make_shadow(settings: Settings, metrics: Metrics) -> Shadow:
    """The shadow of one worker: not started, its share 0."""
    brief = brief_of(settings)
    return Shadow(brief, Instruments(metrics, brief.models))
