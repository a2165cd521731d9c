"""What scoring took within one request, for whoever tells of single requests: the slow log, traces.

Metrics add up and forget which request it was. Where neither slow requests nor traces are wanted, lanes and remotes
are used as they are, and a request pays nothing for this file; where they are, a wrapper leaves a note in the scope.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from time import perf_counter
from typing import Any, NamedTuple

from service.bundle import Ids
from service.lanes import Lane, Scored
from service.logs import CURRENT
from service.remote import Remote, RemoteAnswer, RemoteError
from service.scoring import Scorer

NOTES_KEY = "ctr.notes"


class Note(NamedTuple):
    """One call of a lane or of another service; times as `perf_counter` gives them, seconds."""

    arm: str
    candidates: int
    started: float
    ended: float
    scored: Scored | None
    """None for another service, and where scoring failed."""
    failed: str | None
    """Why there are no logits: the reason of another service's failure, or the name of the exception."""
    remote: bool
    """Whether another service was asked."""

    def stages(self) -> dict[str, float]:
        """Stage → seconds: queue and infer of a lane, wait where another service scored or nobody did."""
        if self.scored is None:
            return {"wait": self.ended - self.started}
        queue_s = self.scored.queue_s
        return {**({} if queue_s is None else {"queue": queue_s}), "infer": self.scored.infer_s}


def notes_of(scope: MutableMapping[str, Any]) -> list[Note]:
    """The notes left in the scope of a request so far."""
    notes: list[Note] = scope.get(NOTES_KEY, [])
    return notes


class NotedLane:
    """A lane that leaves a note in the scope of the current request."""

    def __init__(self, arm: str, lane: Lane) -> None:
        self._arm = arm
        self._lane = lane

    async def score(self, scorer: Scorer, context_ids: Ids, candidate_ids: Ids) -> Scored:
        """Score candidates [N, Ff] in the context [1, Fc]."""
        started = perf_counter()
        try:
            scored = await self._lane.score(scorer, context_ids, candidate_ids)
        except BaseException as error:
            failed = type(error).__name__
            _leave(Note(self._arm, len(candidate_ids), started, perf_counter(), None, failed, remote=False))
            raise
        _leave(Note(self._arm, len(candidate_ids), started, perf_counter(), scored, None, remote=False))
        return scored

    def close(self) -> None:
        """Close the lane."""
        self._lane.close()


class NotedRemote(Remote):
    """Another service, with a note of what it took in the scope of the current request."""

    async def ask(self, body: bytes, candidates: int, request_id: str) -> RemoteAnswer:
        """What the remote model says of a request with so many candidates; raises RemoteError."""
        started, failed = perf_counter(), None
        try:
            return await super().ask(body, candidates, request_id)
        except BaseException as error:
            failed = error.reason if isinstance(error, RemoteError) else type(error).__name__
            raise
        finally:
            _leave(Note(self.name, candidates, started, perf_counter(), None, failed, remote=True))


def _leave(note: Note) -> None:
    scope = CURRENT.get()
    if scope is not None:  # none where no request asks
        scope.setdefault(NOTES_KEY, []).append(note)
