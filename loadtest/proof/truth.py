"""`python -m loadtest.proof.truth`: an experiment on the running service finds the truth that traffic was made with.

Each scenario starts the service with a fresh event store, sends traffic whose true lift is known, asks
`python -m service report` and holds its answer against the truth: the lift inside the fixed and the anytime-valid
interval, the right verdict, and every exposure, unit, impression and click that the client counted, in its arm. Short
runs with other seeds then show how often the intervals contain the truth: nineteen times in twenty, or more for the
anytime-valid one, which pays for being looked at again and again.

Student and teacher rank differently. There the truth is not a lift that somebody chose but what the click model gives
both rankings of the same requests, with the teacher's logits as part of the true relevance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from scipy.stats import binom

from loadtest.proof.checks import Check, show
from loadtest.proof.scenario import Found, Scenario, Stage, play
from loadtest.traffic.summary import faults
from training.progress import steps

NOT_CALLED = frozenset({"keep", "inconclusive"})
FIRST_VERDICT_S = 300.0
LUCK = 0.005
"""Chance at most of missing the target for coverage with intervals that contain the truth as often as they say."""
CONFIDENCE = 0.95


def main(
    *,
    student_bundle: Annotated[Path, typer.Option(help="Bundle to serve.")] = Path("bundles/student"),
    teacher_bundle: Annotated[Path, typer.Option(help="Teacher's bundle, if it exists.")] = Path("bundles/teacher"),
    users: Annotated[int, typer.Option(min=200)] = 6000,
    requests: Annotated[int, typer.Option(min=1000)] = 12_000,
    lift: Annotated[float, typer.Option(min=0, max=1, help="Injected, relative.")] = 0.3,
    seeds: Annotated[int, typer.Option(min=0, help="Short runs, a third as large, for coverage.")] = 20,
    first_seed: Annotated[int, typer.Option(help="Of the short runs; the others follow.")] = 100,
    out: Annotated[Path, typer.Option(help="Where the checks go as JSON.")] = Path("build/proof/truth.json"),
) -> None:
    """Print target, found, met; exit with 1 if a target is missed."""
    teacher = teacher_bundle if teacher_bundle.exists() else None
    stage = Stage(student=student_bundle, teacher=teacher, users=users, requests=requests)
    short = Stage(student=student_bundle, teacher=teacher, users=users // 3, requests=requests // 3)
    planned = list(scenarios(lift, teacher=teacher is not None))
    with steps("truth", len(planned) + seeds) as progress:
        found = [_play(scenario, stage, 1, progress) for scenario in planned]
        again = [_play(planned[0], short, first_seed + seed, progress) for seed in range(seeds)]
    checks = [check for one in found for check in judged(one)]
    checks += coverage(again) if again else []
    raise typer.Exit(show("Known truths, recovered", checks, out))


def scenarios(lift: float, *, teacher: bool) -> Iterator[Scenario]:
    """One for every verdict, an A/A run, and the teacher against the student where there is one."""
    yield Scenario(name=f"lift {lift:+.0%}", lift=lift, verdicts=frozenset({"ship"}))
    yield Scenario(name=f"lift {-lift:+.0%}", lift=-lift, verdicts=frozenset({"stop_harm"}))
    yield Scenario(name="lift 0", verdicts=NOT_CALLED)
    yield Scenario(name="A/A", mode="aa", verdicts=NOT_CALLED)
    if teacher:
        yield Scenario(name="teacher", models=("student", "teacher"), truth_path="/teacher/predict")


def _play(scenario: Scenario, stage: Stage, seed: int, progress: Callable[[str], None]) -> Found:
    progress(f"{scenario.name}, seed {seed}")
    return play(scenario, stage, seed)


def judged(found: Found) -> Iterator[Check]:
    """One scenario against its truth."""
    name, effect = found.scenario.name, found.effect
    for interval in ("fixed", "anytime"):
        low, high = (f"{end:+.1%}" if end is not None else "∞" for end in effect[interval])
        yield Check(
            what=f"{name}: truth in the {interval} interval",
            target=f"{found.truth:+.1%}",
            found=f"{effect['estimate']:+.1%} [{low}, {high}]",
            met=found.holds(interval),
        )
    if found.scenario.verdicts:
        target, said = " or ".join(sorted(found.scenario.verdicts)), found.verdict
        yield Check(what=f"{name}: verdict", target=target, found=said, met=said in found.scenario.verdicts)
    yield _counted(found)
    took = found.seconds
    what = f"{name}: cold start to verdict"
    yield Check(what=what, target=f"<= {FIRST_VERDICT_S:g} s", found=f"{took:.0f} s", met=took <= FIRST_VERDICT_S)


def _counted(found: Found) -> Check:
    """Whether the event store has exactly what the client saw, arm by arm."""
    outcome, provenance = found.ran.outcome, found.report["provenance"]
    client = {
        arm: (outcome.referee.assigned[arm], len(seen.units), seen.impressions, seen.clicks)
        for arm, seen in outcome.truth.arms.items()
    }
    store = {
        row["arm"]: (row["requests"], row["units"], row["impressions"], row["clicks"]) for row in found.report["arms"]
    }
    several, losses = provenance["multi_arm_units"], provenance["losses"]
    requests = sum(row["requests"] for row in found.report["arms"])
    said = [f"{requests:,}, {several} units, {losses} lost, propensity {sorted(found.propensities)}"]
    said += [] if client == store else [f"{store} for {client}"]
    wrong = faults(found.ran, 0.0)
    return Check(
        what=f"{found.scenario.name}: exposures, units, impressions, clicks by arm",
        target=f"{outcome.referee.reasons['assigned']:,} as sent, 0 units in 2 arms, propensity on all",
        found="; ".join([*said, *wrong]),
        met=client == store and not several and not losses and not wrong and found.propensities == {0.5},
    )


def coverage(found: Sequence[Found]) -> Iterator[Check]:
    """How often the intervals of many runs contain the truth."""
    runs = len(found)
    least = int(binom.ppf(LUCK, runs, CONFIDENCE))
    held = {
        "fixed interval": sum(one.holds("fixed") for one in found),
        "anytime interval": sum(one.holds("anytime") for one in found),
        "anytime interval at every look": sum(one.held_at_every_look() for one in found),
    }
    for interval, count in held.items():
        yield Check(
            what=f"{runs} short runs, other seeds: truth in the {interval}",
            target=f">= {least}",
            found=str(count),
            met=count >= least,
        )


if __name__ == "__main__":
    typer.run(main)
