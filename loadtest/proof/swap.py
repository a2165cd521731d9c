"""Proof that versions are swapped under load without a wrong or a lost answer (T9), and without a leak (T18).

    python -m loadtest.proof.swap --student-bundle bundles/student

Two versions of one bundle, told apart by their calibration, take turns in a running service, each swap asked for with
POST /models/student/rollback while a closed loop keeps several connections busy. Every answer names its model; its
probabilities must be, digit for digit, what that version gave to the same request while nothing was swapped.
"""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, NamedTuple

import aiohttp
import numpy as np
import orjson
import typer

from loadtest.proof.checks import Check, show
from loadtest.traffic.offers import Offers
from loadtest.traffic.serve import Served, Wanted, experiment_service
from loadtest.traffic.users import Visit
from service.bundle import Bundle, Calibration, read_bundle, write_bundle
from training.progress import steps

VERSIONS = ("swap-a", "swap-b")
BODIES = 64
SETTLED = 10
"""Swaps after which memory is looked at for the first time."""
OK = 200
JSON = {"Content-Type": "application/json"}
NO_TEACHER = {"CTR_TEACHER_BUNDLE": "none"}
Truth = dict[str, list[Any]]
"""`name@version` → the probabilities of every body."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is done."""

    swaps: int
    requests: int
    """At least so many under swaps; a fifth of it before."""
    connections: int


class Swap(NamedTuple):
    """One swap."""

    took_s: float
    resident: int
    """Bytes of the service's own memory after it."""


@dataclass(slots=True)
class Said:
    """What a stretch of load was answered."""

    latencies_s: list[float] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    """Answers that are not those of the version they name."""

    @property
    def p99_ms(self) -> float:
        """Milliseconds."""
        return float(np.quantile(self.latencies_s, 0.99)) * 1e3


def main(  # noqa: PLR0917 - options of a command
    student_bundle: Annotated[Path, typer.Option(help="Bundle to make both versions of.")] = Path("bundles/student"),
    swaps: Annotated[int, typer.Option(min=SETTLED + 1)] = 100,
    requests: Annotated[int, typer.Option(min=1, help="At least so many under swaps.")] = 50_000,
    candidates: Annotated[int, typer.Option(min=1)] = 100,
    connections: Annotated[int, typer.Option(min=1)] = 4,
    out: Annotated[Path, typer.Option(help="Where the checks go as JSON.")] = Path("build/proof/swap.json"),
) -> None:
    """Print target, found, met; exit with 1 if a target is missed."""
    with steps("swap", swaps + 2) as report, tempfile.TemporaryDirectory(prefix="proof-") as name:
        root = Path(name) / "student"
        bundle = read_bundle(student_bundle)
        for version, intercept in zip(VERSIONS, (0.0, 0.25), strict=True):
            write_bundle(root, calibrated(bundle, version, intercept))
        bodies = _bodies(bundle, candidates)
        with experiment_service(Wanted(student=root, store="", more=NO_TEACHER), Path(name)) as served:
            plan = Plan(swaps=swaps, requests=requests, connections=connections)
            checks = asyncio.run(_prove(served, bodies, plan, report))
    raise typer.Exit(show("Versions swapped under load", checks, out))


def calibrated(bundle: Bundle, version: str, intercept: float) -> Bundle:
    """The same model as another version, whose logits are moved; its example is what it would answer."""
    before = bundle.manifest.calibration
    logits_N = np.log(np.array(bundle.example["probabilities"])) - np.log1p(-np.array(bundle.example["probabilities"]))
    probabilities = (1 / (1 + np.exp(-(logits_N + intercept)))).tolist()
    calibration = Calibration(slope=before.slope, intercept=before.intercept + intercept)
    manifest = dataclasses.replace(bundle.manifest, version=version, calibration=calibration)
    return dataclasses.replace(bundle, manifest=manifest, example={**bundle.example, "probabilities": probabilities})


def _bodies(bundle: Bundle, candidates: int) -> list[bytes]:
    offers = Offers(bundle, candidates=candidates, seed=0)
    visits = [Visit(number=number, day=0, user=number) for number in range(BODIES)]
    return [
        orjson.dumps(offers.body(visit, f"u{visit.user}", f"swap-{visit.number}", offers.drawn(visit)))
        for visit in visits
    ]


async def _prove(served: Served, bodies: list[bytes], plan: Plan, report: Callable[[str], None]) -> list[Check]:
    headers = {"Authorization": f"Bearer {served.admin_token}"}
    async with aiohttp.ClientSession(served.url, headers=headers) as session:
        report("what each version answers")
        truth: Truth = {}
        for _version in VERSIONS:
            truth |= await _truth(session, bodies)
            await _swap(session)
        load = Load(session, bodies, truth, plan.connections)
        report("the load without swaps")
        quiet = await load.run(lambda said: len(said.latencies_s) >= plan.requests // 5)
        swaps = asyncio.create_task(_swap_again_and_again(session, served, plan.swaps, report))
        said = await load.run(lambda said: swaps.done() and len(said.latencies_s) >= plan.requests)
        return checks_of(quiet, said, await swaps)


def checks_of(quiet: Said, said: Said, swaps: list[Swap]) -> list[Check]:
    """The targets of T9 and T18."""
    asked, failed = len(said.latencies_s), said.failures.total()
    grown, last = ((swaps[-1].resident - before) / 2**20 for before in (swaps[SETTLED].resident, 0))
    shares = ", ".join(f"{model.rpartition('@')[2]} {count:,}" for model, count in sorted(said.models.items()))
    ratio = said.p99_ms / quiet.p99_ms
    found_p99 = f"{said.p99_ms:.2f} ms against {quiet.p99_ms:.2f}: {ratio:.2f}x"
    return [
        Check(what="swaps", target="≥ 50", found=f"{len(swaps):,}", met=len(swaps) >= 50),  # noqa: PLR2004 - T9
        Check(what="requests meanwhile", target="≥ 50,000", found=f"{asked:,} ({shares})", met=asked >= 50_000),  # noqa: PLR2004 - T9
        Check(what="not answered with 200", target="0", found=str(dict(said.failures) or 0), met=failed == 0),
        Check(what="answers that are not their version's", target="0", found=str(said.wrong), met=said.wrong == 0),
        Check(what="p99 while swapping", target="≤ 2x", found=found_p99, met=ratio <= 2),  # noqa: PLR2004 - T9
        Check(what="a swap, median", target="", found=f"{np.median([swap.took_s for swap in swaps]):.2f} s", met=None),
        Check(
            what=f"own memory, swaps {SETTLED} to {len(swaps)}",
            target="",
            found=f"{grown:+.1f} to {last:.0f} MiB",
            met=None,
        ),
    ]


async def _truth(session: aiohttp.ClientSession, bodies: list[bytes]) -> Truth:
    """What the version of the moment answers to every body."""
    answers = []
    for body in bodies:
        async with session.post("/predict", data=body, headers=JSON) as answer:
            answers.append(orjson.loads(await answer.read()))
    [model] = {answer["model"] for answer in answers}
    return {model: [answer["probabilities"] for answer in answers]}


class Load:
    """A closed loop of several connections; every answer is compared with the truth."""

    def __init__(self, session: aiohttp.ClientSession, bodies: list[bytes], truth: Truth, connections: int) -> None:
        self._session = session
        self._bodies = bodies
        self._truth = truth
        self._connections = connections

    async def run(self, enough: Callable[[Said], bool]) -> Said:
        """What was answered until it was enough."""
        said = Said()

        async def keep_asking(first: int) -> None:
            number = first
            while not enough(said):
                number = (number + 1) % len(self._bodies)
                await self._ask(number, said)

        await asyncio.gather(*(keep_asking(7 * connection) for connection in range(self._connections)))
        return said

    async def _ask(self, number: int, said: Said) -> None:
        started = perf_counter()
        try:
            async with self._session.post("/predict", data=self._bodies[number], headers=JSON) as answer:
                content = await answer.read()
        except aiohttp.ClientError as error:
            said.failures[type(error).__name__] += 1
            return
        said.latencies_s.append(perf_counter() - started)
        if answer.status != OK:
            said.failures[str(answer.status)] += 1
            return
        decoded = orjson.loads(content)
        said.models[decoded["model"]] += 1
        said.wrong += self._truth[decoded["model"]][number] != decoded["probabilities"]


async def _swap(session: aiohttp.ClientSession) -> None:
    async with session.post("/models/student/rollback") as answer:
        if answer.status != OK:
            raise RuntimeError(f"rollback: HTTP {answer.status}: {await answer.text()}")


async def _swap_again_and_again(
    session: aiohttp.ClientSession, served: Served, swaps: int, report: Callable[[str], None]
) -> list[Swap]:
    found = []
    for number in range(swaps):
        report(f"swap {number + 1}")
        started = perf_counter()
        await _swap(session)
        took_s = perf_counter() - started
        found.append(Swap(took_s, sum(_resident(pid) for pid in served.service.processes)))
        await asyncio.sleep(0.05)
    return found


def _resident(pid: int) -> int:
    """Bytes of a process' own in memory: mapped files, which others share, are left out."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    typer.run(main)
