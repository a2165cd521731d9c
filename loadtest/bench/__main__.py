"""`python -m loadtest.bench`: the service over HTTP beside what an expert and a tutorial would write, in one run.

One core has the servers, one after another asked; the other has the load and everything else. Ratios are taken within
a repetition; their median over repetitions counts.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import torch
import typer

from export.bench_shapes import SHAPES, Shape
from loadtest.bench import wrk
from loadtest.bench.plots import draw
from loadtest.bench.points import centre_plan, full_plan
from loadtest.bench.report import as_json, tables, target_table
from loadtest.bench.run import measure_shape
from loadtest.bench.summary import ShapeResult, targets
from service.bundle import replace_file
from training.progress import console, results

TARGET_SHAPE = "reference"
"""Label of the shape that targets are about; it is measured at every point, the others at the centre."""
LABELS = [shape.label for shape in SHAPES]
PACKAGES = ("fastapi", "numpy", "onnxruntime", "orjson", "pydantic", "uvicorn", "uvloop")
CORES_NEEDED = 2


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Of every point; wrk takes whole seconds.")] = 2,
    repetitions: Annotated[int, typer.Option(min=1, help="The median of these counts.")] = 3,
    shapes: Annotated[str, typer.Option(help="Labels of shapes, comma-separated.")] = ",".join(LABELS),
    *,
    quick: Annotated[bool, typer.Option("--quick", help="One repetition of a second, one shape, the centre.")] = False,
    out: Annotated[Path, typer.Option(help="Where figures.json and the pictures go.")] = Path("build/bench"),
) -> None:
    """Print requests per second, latencies and ratios; write them as JSON and pictures. Missed targets are no error."""
    chosen = _chosen(TARGET_SHAPE if quick else shapes)
    if quick:
        seconds, repetitions = 1, 1
    server_core = prepare_machine()
    run = {"seconds": seconds, "repetitions": repetitions, "quick": quick, **machine()}
    found = []
    for shape in chosen:
        plan = full_plan() if shape.label == TARGET_SHAPE and not quick else centre_plan()
        result = measure_shape(shape, plan, core=server_core, seconds=seconds, repetitions=repetitions)
        for table in tables(result):
            results.print(table)
        for point, why in result.failures.items():
            where = f"N = {point.candidates}, {point.connections} connections"
            results.print(f"not measured: {point.server}, {point.form}, {where}: {why}", highlight=False, markup=False)
        found.append(result)
    _report(found, run, out)


def prepare_machine() -> int:
    """The core for servers; from here on this process and what it starts stay on another."""
    if not wrk.installed():
        stop(wrk.HOW_TO_INSTALL)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < CORES_NEEDED:
        stop(f"this process may use {len(cores)} core(s), expected {CORES_NEEDED}: one for servers, one for the load")
    os.sched_setaffinity(0, {cores[1]})
    torch.set_num_threads(1)
    return cores[0]


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, load from elsewhere at the start, versions."""
    described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name")]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load_average_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
    }


def _chosen(labels: str) -> list[Shape]:
    wanted = [label.strip() for label in labels.split(",")]
    unknown = [label for label in wanted if label not in LABELS]
    if unknown:
        stop(f"--shapes: got {', '.join(unknown)}, expected some of {', '.join(LABELS)}")
    return [shape for shape in SHAPES if shape.label in wanted]


def _report(found: Sequence[ShapeResult], run: dict[str, Any], out: Path) -> None:
    judged = [target for result in found if result.shape.label == TARGET_SHAPE for target in targets(result)]
    if judged:
        results.print(target_table(judged))
    results.print(
        f"load average at the start {run['load_average_at_start']:.1f}; expected under 0.2, or ratios are noisy",
        highlight=False,
    )
    out.mkdir(parents=True, exist_ok=True)
    replace_file(out / "figures.json", orjson.dumps(as_json(found, judged, run), option=orjson.OPT_INDENT_2))
    for path in (out / "figures.json", *draw(found, out)):
        console.print(f"wrote {path}", highlight=False)


def stop(message: str) -> NoReturn:
    """End the process with one line."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
