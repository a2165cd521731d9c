"""Requests made ahead: whole HTTP messages with a gap for the request id, and what their reader will click.

A generator that draws and encodes while it sends takes the time from its requests. So sessions are drawn before the
run, as many requests as asked for, and sent over and over, each time under new ids. A session is one user's: all its
pages have the user's unit and context and candidates of their own, and many sessions are under way at a time, so that
the service meets a context again after others. A click is decided ahead too: which rank each candidate may have at most
to be clicked; the rank is known when the answer comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from loadtest.ranking.distributions import candidate_counts, page_counts, popularity, without_replacement
from loadtest.ranking.known import Known, Value
from loadtest.traffic.clicks import ClickModel
from loadtest.traffic.draws import Stream, choices, uniforms
from loadtest.traffic.users import Population

ID_LENGTH = 20
POOL = 1000
"""Made-up items where there is no catalogue."""
UNDER_WAY = 64
"""Sessions at the same time."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What requests are like."""

    requests: int = 2048
    """Made ahead, then sent in turn."""
    users: int = 2000
    candidates: float = 100.0
    """Median of a request."""
    sigma: float = 0.7
    """Standard deviation of the logarithm of the candidates."""
    most: int = 1000
    """Candidates of the largest request."""
    pages: float = 3.0
    """Mean of a session."""
    feedback: float = 0.2
    """Share of requests whose impressions and clicks are sent back."""
    shown: int = 10
    """Candidates that the user sees, the most probable first."""
    seed: int = 1


class Prepared(NamedTuple):
    """One request."""

    head: bytes
    """All up to the request id."""
    tail: bytes
    candidates: int
    clicked_to: Sequence[int] | None
    """Worst rank at which each candidate is clicked, 0 for never; None for a request without feedback."""

    def message(self, request_id: bytes) -> bytes:
        """The whole HTTP request under an id of ID_LENGTH characters."""
        return self.head + request_id + self.tail


class Page(NamedTuple):
    """One request of one session, before it is written."""

    user: int
    visit: int
    items_N: npt.NDArray[np.int64]


class Writer:
    """Writes pages as HTTP messages.

    Args:
        known: what the service knows.
        traffic: what requests are like.
        host: value of the Host header.
        path: where predictions are asked for.
    """

    def __init__(self, known: Known, traffic: Traffic, host: str, path: str) -> None:
        self._traffic = traffic
        self._start = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "
        self._items = known.items
        self._context = {
            name: (values, choices(Stream.CONTEXT, traffic.seed, np.arange(traffic.users), place, among=len(values)))
            for place, (name, values) in enumerate(known.context.items())
        }
        self._columns = {
            name: _made_up(values, traffic.seed, position)
            for position, (name, values) in enumerate(known.candidate.items())
        }
        self._population = Population(traffic.users, days=1, seed=traffic.seed)
        self._clicks = ClickModel(seed=traffic.seed)

    def prepared(self, page: Page) -> Prepared:
        """The request of a page."""
        rest = orjson.dumps({"unit": self._population.unit(page.user), **self._asked(page)})[1:]
        opening = b'{"request_id":"'
        length = len(opening) + ID_LENGTH + 2 + len(rest)
        head = f"{self._start}{length}\r\n\r\n".encode() + opening
        return Prepared(head, b'",' + rest, len(page.items_N), self._clicked_to(page))

    def _asked(self, page: Page) -> dict[str, object]:
        items = page.items_N.tolist()
        asked: dict[str, object] = {"context": self._context_of(page.user)} if self._context else {}
        if self._items:
            return {**asked, "items": [self._items[item] for item in items]}
        return {**asked, "candidates": {name: [column[i] for i in items] for name, column in self._columns.items()}}

    def _context_of(self, user: int) -> dict[str, Value]:
        return {name: values[drawn_U[user]] for name, (values, drawn_U) in self._context.items()}

    def _clicked_to(self, page: Page) -> list[int] | None:
        """At rank k an item is clicked if its draw is below e(k) · a: true for the first ranks, as e falls."""
        if uniforms(Stream.FEEDBACK, self._traffic.seed, page.visit)[0] >= self._traffic.feedback:
            return None
        draw_N = uniforms(Stream.CLICK, self._traffic.seed, page.user, page.visit, page.items_N)
        attraction_N = self._clicks.attraction(page.user, page.items_N)
        examination_K = self._clicks.examination(self._traffic.shown)
        ranks_N = (examination_K * attraction_N[:, None] > draw_N[:, None]).sum(axis=1)
        return [int(rank) for rank in ranks_N]


def pages(traffic: Traffic, items: int) -> Iterator[Page]:
    """So many requests as sessions make them, in the order they come.

    Args:
        traffic: what requests are like.
        items: how many there are; the popular ones stand anywhere among them.
    """
    random = np.random.default_rng((traffic.seed, items))
    share_I = random.permutation(popularity(items))
    # Every session takes at least one request, so these are enough.
    visits = Population(traffic.users, days=1, seed=traffic.seed).visits(traffic.requests + UNDER_WAY)
    sessions = (_session(random, share_I, traffic, visit.user) for visit in visits)
    under_way = [next(sessions) for _ in range(UNDER_WAY)]
    for number in range(traffic.requests):
        place = int(random.integers(UNDER_WAY))
        user, waiting = under_way[place]
        yield Page(user, number, waiting.pop())
        if not waiting:
            under_way[place] = next(sessions)


def _session(
    random: np.random.Generator, share_I: npt.NDArray[np.float64], traffic: Traffic, user: int
) -> tuple[int, list[npt.NDArray[np.int64]]]:
    """A user and the candidates of each page, each item once in a session as far as there are enough of them."""
    count = int(page_counts(random, 1, mean=traffic.pages)[0])
    most = min(traffic.most, len(share_I))
    counts = candidate_counts(random, count, median=traffic.candidates, sigma=traffic.sigma, most=most)
    drawn: list[npt.NDArray[np.int64]] = []
    if counts.sum() <= len(share_I):
        together = without_replacement(random, share_I, int(counts.sum()))
        random.shuffle(together)  # or the first page would have all the popular ones
        drawn = np.split(together, np.cumsum(counts)[:-1])
    else:
        drawn = [without_replacement(random, share_I, int(one)) for one in counts]
    return user, drawn


def _made_up(values: Sequence[Value], seed: int, field: int) -> list[Value]:
    drawn = choices(Stream.CANDIDATE, seed, np.arange(POOL), field, among=len(values))
    return [values[position] for position in drawn.tolist()]


def prepare(known: Known, traffic: Traffic, host: str, path: str) -> list[Prepared]:
    """Every request of a run, in the order it is sent."""
    writer = Writer(known, traffic, host, path)
    return [writer.prepared(page) for page in pages(traffic, len(known.items) or POOL)]
