"""Proof that harm is stopped (T6): how long after its breach shows an experiment is switched off everywhere.

    python -m loadtest.proof.auto_stop --student-bundle bundles/student

Traffic with a large injected loss runs against the service while `python -m service watch` looks on. Afterwards the
event store tells everything: when the switch was thrown (its revision), when the evidence first sufficed (the earliest
moment up to which the report says `stop_harm`, found by bisection), and when the last unit was given the treatment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from loadtest.proof.checks import Check, show
from loadtest.proof.scenario import ATTRIBUTION_MS, EXPERIMENT, TREATMENT, Scenario, Stage
from loadtest.traffic.run import Crowd, run
from loadtest.traffic.serve import Served, Wanted, experiment_service
from loadtest.traffic.simulate import Plan
from service.events.reading import read_phase
from service.events.store import EventStore
from service.events.urls import open_store
from service.experiment.report.build import build_report
from service.experiment.watch import STOPPING

BREACH_S, SPREAD_S = 10.0, 1.0
"""From the breach to the switch, and from the switch to the last unit that is given the treatment."""
STEP_MS = 50
"""How finely the breach is looked for."""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """What the event store tells of one run."""

    breach_ms: int
    """When the evidence first sufficed, milliseconds since 1970."""
    thrown_ms: int
    last_treated_ms: int
    reason: str


@contextmanager
def watched(served: Served, every_s: float) -> Iterator[None]:
    """While inside, `python -m service watch` looks on."""
    command = [sys.executable, "-m", "service", "watch", "--every", str(every_s)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    with subprocess.Popen(command, env={**kept, **served.settings}) as process:
        try:
            yield
        finally:
            process.terminate()


def play(scenario: Scenario, stage: Stage, every_s: float) -> Stopped | None:
    """Send the traffic under a watch; None if nothing was stopped."""
    wanted = Wanted(student=stage.student, experiment=scenario.document(stage.planned_units), workers=stage.workers)
    plan = Plan(requests=stage.requests, seed=1, lift=scenario.lift, treatment=TREATMENT)
    with tempfile.TemporaryDirectory(prefix="auto-stop-") as folder, experiment_service(wanted, Path(folder)) as served:
        with watched(served, every_s):
            run(served.url, Crowd(bundle=stage.student, users=stage.users), plan)
        with closing(open_store(served.store, ATTRIBUTION_MS)) as store:
            return _told(store)


def _told(store: EventStore) -> Stopped | None:
    last = store.revisions()[-1]
    if last.action != "kill":
        return None
    rows = read_phase(store, EXPERIMENT, 1)
    treated_E = rows.arm_E == rows.arms.index(TREATMENT)
    return Stopped(
        breach_ms=_breach(store, int(rows.ts_ms_E.min()), last.ts_ms),
        thrown_ms=last.ts_ms,
        last_treated_ms=int(rows.ts_ms_E[treated_E].max()),
        reason=last.reason,
    )


def _breach(store: EventStore, low_ms: int, high_ms: int) -> int:
    """The earliest moment up to which the report says `stop_harm`, between two moments."""
    while high_ms - low_ms > STEP_MS:
        middle_ms = (low_ms + high_ms) // 2
        found = build_report(store, EXPERIMENT, 1, until_ms=middle_ms).verdict.verdict
        low_ms, high_ms = (low_ms, middle_ms) if found == STOPPING else (middle_ms, high_ms)
    return high_ms


def judged(found: Stopped | None) -> list[Check]:
    """T6, the automatic part."""
    if found is None:
        return [Check(what="harm is stopped", target="yes", found="no kill in the event store", met=False)]
    waited_s = (found.thrown_ms - found.breach_ms) / 1000
    spread_s = max(0, found.last_treated_ms - found.thrown_ms) / 1000
    return [
        Check(
            what="from the breach to the switch",
            target=f"<= {BREACH_S:g} s",
            found=f"{waited_s:.2f} s",
            met=waited_s <= BREACH_S,
        ),
        Check(
            what="from the switch to the last unit treated",
            target=f"<= {SPREAD_S:g} s",
            found=f"{spread_s:.2f} s",
            met=spread_s <= SPREAD_S,
        ),
        Check(what="its reason", target="kept with the revision", found=found.reason[:80], met=bool(found.reason)),
    ]


def main(
    *,
    student_bundle: Annotated[Path, typer.Option(help="Bundle to serve.")] = Path("bundles/student"),
    users: Annotated[int, typer.Option(min=200)] = 6000,
    requests: Annotated[int, typer.Option(min=1000)] = 20_000,
    loss: Annotated[float, typer.Option(min=0, max=1, help="Injected, relative.")] = 0.5,
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 2.0,
    workers: Annotated[int, typer.Option(min=1)] = 2,
    out: Annotated[Path, typer.Option(help="JSON file of the figures.")] = Path("build/proof/auto_stop.json"),
) -> None:
    """Measure, print target, found, met."""
    stage = Stage(student=student_bundle, teacher=None, users=users, requests=requests, workers=workers)
    checks = judged(play(Scenario(name="loss", lift=-loss), stage, every))
    raise typer.Exit(show(f"A loss of {loss:.0%} is stopped", checks, out))


if __name__ == "__main__":
    typer.run(main)
