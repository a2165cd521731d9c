"""A ranking layer and its users: ask, rank, show, click, report back.

Closed loop: a fixed number of users are on the site at once, each waits for its answer before the next takes its
place, so the service sets the pace and is never asked more than it carries. An open loop, which `loadtest.bench` has,
would measure waiting; here nothing depends on time, and no request may be lost.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loadtest.traffic.clicks import ClickModel, relevance
from loadtest.traffic.client import Prediction, ServiceClient
from loadtest.traffic.counterfactual import Counterfactual
from loadtest.traffic.draws import Numbers
from loadtest.traffic.misbehaviour import Event, Misbehaviour
from loadtest.traffic.offers import Items, Offers
from loadtest.traffic.outbox import Outbox
from loadtest.traffic.referee import Referee
from loadtest.traffic.truth import Truth
from loadtest.traffic.users import Population, Visit


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does."""

    requests: int
    seed: int = 0
    shown: int = 10
    """Candidates of an answer that the user gets to see."""
    concurrency: int = 16
    bulk: int = 500
    """Events of one POST /feedback."""
    lift: float = 0.0
    """Relative lift of every click probability in the treatment arm."""
    treatment: str | None = None
    """Name of the arm with the lift."""
    truth_path: str | None = None
    """Predict path of the model that is taken for the true relevance; none for relevance without a model."""
    truth_weight: float = 1.0
    """How much of its logit counts."""
    counterfactual: float = 0.0
    """Share of requests that every other arm's model is asked about too, where arms have different models."""
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)
    attribution_s: float = 0.0
    """Seconds that late feedback waits after the last visit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a run found out."""

    truth: Truth
    referee: Referee
    sent: Counter[str]
    """Kind of misbehaviour → feedback events; `events` counts all, good ones too."""
    tokens: bool
    """Whether answers carried tokens."""
    seconds: float
    lost: int
    """Visits without an answer."""


class Simulation:
    """One run against one service.

    Args:
        client: asks the service.
        population: who comes.
        offers: what they are asked about.
        clicks: what they like.
        plan: how much of it.
    """

    def __init__(
        self, client: ServiceClient, population: Population, offers: Offers, clicks: ClickModel, plan: Plan
    ) -> None:
        self._client, self._population, self._offers, self._clicks = client, population, offers, clicks
        self._plan = plan
        self._run = f"t{plan.seed}-{time.time_ns() // 1000:x}"
        """Begins the id of every request: a store that saw another run knows them apart."""
        self._truth, self._referee, self._lost = Truth(), Referee(None), 0
        self._outbox = Outbox(client, plan.misbehaviour, seed=plan.seed, bulk=plan.bulk)
        self._counterfactual = Counterfactual(client, plan.counterfactual, plan.seed)

    async def run(self, advance: Callable[[], None] = lambda: None) -> Outcome:
        """All visits, then what was held back; calls `advance` after each visit."""
        self._referee = Referee(await self._client.document())
        started = time.perf_counter()
        visits = self._population.visits(self._plan.requests)
        await asyncio.gather(*(self._place(visits, advance) for _ in range(self._plan.concurrency)))
        await self._outbox.send_rest(self._plan.attribution_s)
        return Outcome(
            truth=self._truth,
            referee=self._referee,
            sent=self._outbox.sent,
            tokens=self._outbox.tokens,
            seconds=time.perf_counter() - started,
            lost=self._lost,
        )

    async def _place(self, visits: Iterator[Visit], advance: Callable[[], None]) -> None:
        """One place on the site: whoever comes next takes it."""
        for visit in visits:
            await self._visit(visit)
            await self._outbox.send_full()
            advance()

    async def _visit(self, visit: Visit) -> None:
        unit, items_N = self._population.unit(visit.user), self._offers.drawn(visit)
        request = self._offers.body(visit, unit, f"{self._run}-{visit.number}", items_N)
        relevance_N = await self._relevance(request)
        answer = await self._client.predict(request)
        if answer is None or relevance_N is None:
            self._lost += 1
            return
        counts = self._referee.judge(unit, request.get("context", {}), answer)
        arm = answer.arm if counts else None
        shown_K, probability_K = self._shown(visit, arm, answer.probabilities, items_N, relevance_N)
        clicked_K = self._clicks.clicked(visit.user, visit.number, items_N[shown_K], probability_K)
        events = self._events(request["request_id"], answer, items_N, shown_K, shown_K[clicked_K])
        late = self._outbox.put(visit.number, events)
        if counts and not late:
            self._truth.shown(answer.arm, unit, probability_K, clicked_K)
        if counts:
            await self._cause(visit, request, items_N, relevance_N, answer)

    async def _relevance(self, request: dict[str, Any]) -> Numbers | None:
        """True relevance [N] beyond the click model's own; None if the model that knows it did not answer."""
        if self._plan.truth_path is None:
            return np.zeros(self._offers.candidates)
        true_N = await self._client.probabilities(self._plan.truth_path, request)
        return None if true_N is None else relevance(np.array(true_N), self._plan.truth_weight)

    def _shown(
        self, visit: Visit, arm: str | None, given: Sequence[float], items_N: Items, relevance_N: Numbers
    ) -> tuple[Items, Numbers]:
        """Positions [K] of what an arm shows, the best first and ties as asked, and true click probabilities [K]."""
        shown_K = np.argsort(-np.array(given), kind="stable")[: self._plan.shown]
        lift = self._plan.lift if arm is not None and arm == self._plan.treatment else 0.0
        return shown_K, self._clicks.probabilities(visit.user, items_N[shown_K], relevance_N[shown_K], lift=lift)

    def _events(
        self, request_id: str, answer: Prediction, items_N: Items, shown_K: Items, clicked_C: Items
    ) -> list[Event]:
        common: Event = {"request_id": request_id}
        if answer.token is not None:
            common["token"] = answer.token
        kinds = [("impression", shown_K), ("click", clicked_C)]
        return [
            {**common, **self._offers.candidate(items_N, position), "type": kind}
            for kind, positions in kinds
            for position in positions.tolist()
        ]

    async def _cause(
        self, visit: Visit, request: dict[str, Any], items_N: Items, relevance_N: Numbers, own: Prediction
    ) -> None:
        """Add to the truth what each arm would have caused in this visit."""
        arms = self._referee.arms(request["unit"], request.get("context", {}))
        answers = await self._counterfactual.answers(visit.number, request, own, arms)
        for arm, given in answers.items():
            _, probability_K = self._shown(visit, arm, given, items_N, relevance_N)
            self._truth.caused(arm, probability_K)
