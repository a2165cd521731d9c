"""One run from its parts: reads the bundle, opens the connections, shows how far it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from loadtest.traffic.clicks import ClickModel
from loadtest.traffic.client import TIMEOUT_S, Said, ServiceClient
from loadtest.traffic.offers import Offers
from loadtest.traffic.simulate import Outcome, Plan, Simulation
from loadtest.traffic.users import Population
from service.bundle import read_bundle
from training.progress import console


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Who comes, and what they are asked about."""

    bundle: Path
    """A bundle of the service, read for its vocabularies and items."""
    users: int = 2000
    days: int = 7
    candidates: int = 50
    """Of a request."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was found out and what the service said to it."""

    outcome: Outcome
    said: Said


def run(url: str, crowd: Crowd, plan: Plan, *, clicks: ClickModel | None = None, bearer: str | None = None) -> Run:
    """Drive the service at `url` once, from its start to the last feedback.

    Args:
        url: of the service.
        crowd: who comes.
        plan: what they do.
        clicks: what they like; the model's defaults without.
        bearer: admin token, for counterfactual answers of models without a path of their own.

    Raises:
        BundleError: the bundle cannot be read.
        aiohttp.ClientError: nobody answers at `url`.
    """
    population = Population(crowd.users, days=crowd.days, seed=plan.seed)
    offers = Offers(read_bundle(crowd.bundle), candidates=crowd.candidates, seed=plan.seed)
    model = ClickModel(seed=plan.seed) if clicks is None else clicks

    async def drive() -> Run:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(url, timeout=timeout, connector=connector) as session:
            client = ServiceClient(session, bearer)
            with _bar(plan.requests) as advance:
                outcome = await Simulation(client, population, offers, model, plan).run(advance)
            return Run(outcome=outcome, said=client.said)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(drive())


class _RequestsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} requests/s", style="cyan")


@contextmanager
def _bar(requests: int) -> Iterator[Callable[[], None]]:
    """A bar with rate and time left, where somebody can see it move; call what it yields after each request."""
    columns = (TextColumn("traffic"), BarColumn(), MofNCompleteColumn(), _RequestsPerSecond(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task("traffic", total=requests)
        yield lambda: bars.advance(task)
