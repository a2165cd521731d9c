"""`python -m loadtest.proof.stickiness`: units keep their arm, and the kill switch reaches every worker.

A thousand units are asked on real connections: before and after restarts, by one worker and by two, and while the ramp
grows. Then one unit of the treatment is asked without a pause on connections of both workers while the kill switch is
thrown; what counts is when any of them still got an answer from the treatment.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from loadtest.proof.asking import TREATMENT, Asker, document, put
from loadtest.proof.checks import Check, show
from loadtest.proof.kill_switch import SETTLE_S, Switch, throw
from loadtest.traffic.serve import Wanted, experiment_service
from service.experiment.assignment import Assigner
from service.experiment.document import read_toml
from training.progress import steps

RAMPS = (1.0, 5.0, 25.0, 50.0, 100.0)
ASSIGNED = frozenset({"control", TREATMENT})
TARGET_S = 1.0
Arms = dict[str, str]


def main(
    student_bundle: Annotated[Path, typer.Option(help="Bundle to serve.")] = Path("bundles/student"),
    units: Annotated[int, typer.Option(min=1)] = 1000,
    kills: Annotated[int, typer.Option(min=1, help="Times the switch is thrown; the slowest counts.")] = 10,
    out: Annotated[Path, typer.Option(help="Where the checks go as JSON.")] = Path("build/proof/stickiness.json"),
) -> None:
    """Print target, found, met; exit with 1 if a target is missed."""
    names = [f"unit-{number}" for number in range(units)]
    asker = Asker(student_bundle)
    with steps("stickiness", 4 + len(RAMPS) + kills) as report, tempfile.TemporaryDirectory(prefix="proof-") as folder:
        asked = _restarts(student_bundle, asker, names, Path(folder), report)
        ramped = asyncio.run(_ramps(student_bundle, asker, names, Path(folder), report))
        switches = asyncio.run(_kills(student_bundle, asker, kills, Path(folder), report))
    checks = [*sticky(asked, names), *monotonic(ramped), switched(switches)]
    raise typer.Exit(show("Stickiness and kill switch", checks, out))


def _restarts(bundle: Path, asker: Asker, names: list[str], folder: Path, report: Callable[[str], None]) -> list[Arms]:
    """The arms that a service gives after each of four starts on one event store: 1, 1, 2 and 2 workers."""
    asked = []
    for workers in (1, 1, 2, 2):
        report(f"start with {workers} worker(s)")
        wanted = Wanted(student=bundle, experiment=document(), workers=workers)
        with experiment_service(wanted, folder) as served:
            asked.append(asyncio.run(asker.arms(served, names)))
    return asked


async def _ramps(
    bundle: Path, asker: Asker, names: list[str], folder: Path, report: Callable[[str], None]
) -> dict[float, Arms]:
    """The arms at every ramp of one phase, two workers."""
    (folder / "ramps").mkdir()
    found = {}
    wanted = Wanted(student=bundle, experiment=document(ramp=RAMPS[0]), workers=2)
    with experiment_service(wanted, folder / "ramps") as served:
        for ramp in RAMPS:
            report(f"ramp {ramp:g} %")
            await put(served, document(ramp=ramp))
            await asyncio.sleep(SETTLE_S)
            found[ramp] = await asker.arms(served, names)
    return found


async def _kills(bundle: Path, asker: Asker, times: int, folder: Path, report: Callable[[str], None]) -> list[Switch]:
    (folder / "kills").mkdir()
    found = []
    wanted = Wanted(student=bundle, experiment=document(), workers=2)
    with experiment_service(wanted, folder / "kills") as served:
        for phase in range(2, 2 + times):
            report(f"kill {phase - 1}")
            found.append(await throw(served, asker, phase))
    return found


def sticky(asked: list[Arms], names: list[str]) -> list[Check]:
    """Whether every start gave every unit the arm of the first, and that the arm of the specification."""
    assigner = Assigner(read_toml(document()))
    specified = {name: assigner.assign(name, {}).arm for name in names}
    same = [sum(arms[name] == asked[0][name] for name in names) / len(names) for arms in asked[1:]]
    right = sum(asked[0][name] == specified[name] for name in names) / len(names)
    sizes = sorted(list(asked[0].values()).count(arm) for arm in ASSIGNED)
    return [
        Check(
            what=f"{len(names)} units, {len(asked)} starts, 1 and 2 workers: same arm",
            target="100 %",
            found=" ".join(f"{share:.1%}" for share in same),
            met=all(share == 1 for share in same),
        ),
        Check(what="arm as computed apart", target="100 %", found=f"{right:.1%}", met=right == 1),
        Check(what="units of the smaller and larger arm", target="both", found=f"{sizes}", met=sizes[0] > 0),
    ]


def monotonic(ramped: dict[float, Arms]) -> list[Check]:
    """How many units a growing ramp moved out, or to another arm."""
    inside = {ramp: {unit: arm for unit, arm in arms.items() if arm in ASSIGNED} for ramp, arms in ramped.items()}
    grown = pairwise(inside.values())
    moved = sum(after.get(unit) != arm for before, after in grown for unit, arm in before.items())
    counts = [len(units) for units in inside.values()]
    label = "→".join(f"{ramp:g}" for ramp in inside)
    return [
        Check(what=f"ramp {label} %: units moved out or over", target="0", found=str(moved), met=moved == 0),
        Check(
            what="units in, at each ramp",
            target="growing to all",
            found=" ".join(map(str, counts)),
            met=counts == sorted(counts) and counts[-1] == len(ramped[RAMPS[-1]]),
        ),
    ]


def switched(switches: list[Switch]) -> Check:
    """The slowest kill, every worker having been asked."""
    slowest = max(switch.last_s for switch in switches)
    every = all(min(switch.connections) > 0 for switch in switches)
    answers = sum(switch.answers for switch in switches)
    late = sum(switch.after_target for switch in switches)
    return Check(
        what=f"kill switch, {len(switches)} times, last answer of the treatment by any of 2 workers",
        target=f"<= {TARGET_S:g} s",
        found=f"{slowest:.2f} s, {late} of {answers:,} answers later" + ("" if every else ", a worker was not asked"),
        met=slowest <= TARGET_S and every,
    )


if __name__ == "__main__":
    typer.run(main)
