"""`python -m training.bench_training`: rows/s and peak memory of training every model, beside what libraries reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from service.bundle import replace_file
from training.bench_training.cases import MODELS, SHAPES, Case, cases
from training.bench_training.drawing import draw, markdown, table_of
from training.machine import machine
from training.progress import console, results, steps

_QUIET = 0.3
"""Load average of the last minute, beyond which something else is busy."""
app = typer.Typer(add_completion=False)
Listed = Annotated[str, typer.Option(help="Comma-separated; default: all.")]
_ALL_MODELS, _ALL_SHAPES = ",".join(MODELS), ",".join(SHAPES)


@app.command()
def main(
    models: Listed = _ALL_MODELS,
    shapes: Listed = _ALL_SHAPES,
    batches: Annotated[str, typer.Option(help="Rows per step.")] = "1024,4096",
    threads: Annotated[str, typer.Option(help="Threads of torch.")] = "2",
    out: Annotated[Path, typer.Option(help="Folder of bench.md, bench.json, bench.png.")] = Path(
        "build/bench-training"
    ),
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Short repetitions: a look, not figures.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Keep what OUT holds, measure only what it lacks.")] = False,
) -> None:
    """Measure every combination, each in a process of its own; print a table, write JSON, Markdown and a picture."""
    chosen = _known("--models", models, list(MODELS)), _known("--shapes", shapes, list(SHAPES))
    sizes, counts = _numbers("--batches", batches), _numbers("--threads", threads)
    planned = list(cases(*chosen, sizes, counts, quick=quick))
    load = os.getloadavg()[0]
    if load > _QUIET:
        console.print(
            f"load average is {load:.1f}: something else is busy, and torch's threads stall on it; no figures to keep",
            style="yellow",
        )
    measured, command = _before(out) if add else ([], "")
    planned = [case for case in planned if not any(case.plain().items() <= each.items() for each in measured)]
    if planned:
        command += "\n" * bool(command) + " ".join(["python -m training.bench_training", *sys.argv[1:]])
    with steps("bench of training", len(planned)) as step:
        for case in planned:
            step(f"{case.model} {case.shape} {case.batch}")
            measured.append(_measured(case))
            _write(out, measured, command)
        step("done")
    _write(out, measured, command)
    results.print(table_of(measured))
    console.print(f"{out}/bench.md, {out}/bench.json, {out}/bench.png", highlight=False)


def _known(option: str, given: str, valid: list[str]) -> list[str]:
    names = given.split(",")
    for name in names:
        if name not in valid:
            raise typer.BadParameter(f"{name!r} is none of {valid}", param_hint=option)
    return names


def _numbers(option: str, given: str) -> list[int]:
    for number in given.split(","):
        if not number.isdecimal() or not int(number):
            raise typer.BadParameter(f"{number!r} is no number above zero", param_hint=option)
    return [int(number) for number in given.split(",")]


def _measured(case: Case) -> dict[str, Any]:
    """The case and what came out, flat, with the load average it began under."""
    load = os.getloadavg()[0]
    command = [sys.executable, "-m", "training.bench_training.measure", json.dumps(case.plain())]
    environment = {**os.environ, "OMP_NUM_THREADS": str(case.threads)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return {**case.plain(), "load_before": load, **json.loads(done.stdout)}


def _before(out: Path) -> tuple[list[dict[str, Any]], str]:
    """What was measured there, and by which command; refused if it was elsewhere, as one page has one machine."""
    path = out / "bench.json"
    if not path.exists():
        return [], ""
    found = json.loads(path.read_bytes())
    if found["machine"] != _made_on():
        raise typer.BadParameter(
            f"{path} was measured on {found['machine']}, this is {_made_on()}; choose another --out", param_hint="--add"
        )
    return found["results"], found["command"]


def _made_on() -> dict[str, Any]:
    return {**machine(), "torch": torch.__version__}


def _write(out: Path, measured: list[dict[str, Any]], command: str) -> None:
    """After every case, so that a bench that is stopped leaves what it has."""
    out.mkdir(parents=True, exist_ok=True)
    whole = {"command": command, "machine": _made_on(), "results": measured}
    replace_file(out / "bench.json", json.dumps(whole, indent=1).encode())
    replace_file(out / "bench.md", markdown(measured, _made_on(), command).encode())
    draw(measured, out / "bench.png")


if __name__ == "__main__":
    app()
