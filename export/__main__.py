"""`python -m export RUN`: the run's student and teacher as bundles, and a table of one against the other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from export.pack import pack
from export.parity import ParityError
from export.quantize import QuantizeError, served
from export.timing import SIZES
from service.bundle import BundleError, Manifest, read_bundle
from training.checkpoint import CheckpointError, Trained
from training.config import ConfigError
from training.data.click_log import DataError
from training.data.prepare import open_prepared
from training.evaluate import evaluate_test
from training.progress import console, results, results_table
from training.run import Run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

StoredAs = Literal["float32", "float16", "int8"]


def arm_phases(run: Run) -> dict[str, tuple[str, ...]]:
    """Arm → the phases whose models it may serve; validation AUC decides between them.

    Of several teachers the best single one is served. A run whose teachers all come from elsewhere has no arm for
    them. The student is written last: once it is there, everything is.
    """
    students = tuple(phase for phase in ("finetune", "distill") if phase in run.phases)
    teachers = tuple(phase for phase in run.phases if phase not in students)
    return {**({"teacher": teachers} if teachers else {}), "student": students}


@app.command()
def export(
    run: Annotated[Path | None, typer.Argument(help="A finished run. Default: the one that finished last.")] = None,
    runs: Annotated[Path, typer.Option(envvar="CTR_RUNS", help="Where run directories are kept.")] = Path("runs"),
    bundles: Annotated[Path, typer.Option(envvar="CTR_BUNDLES", help="Where bundles are kept.")] = Path("bundles"),
    embedding: Annotated[StoredAs, typer.Option(help="Number format of the embedding tables.")] = "float32",
) -> None:
    """Export, verify, time and write the student and the teacher of a run."""
    try:
        manifests = _export(Run.existing(run or _finished_last(runs)), bundles, embedding)
    except (BundleError, CheckpointError, ConfigError, DataError, OSError, ParityError, QuantizeError) as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from error
    if "teacher" in manifests:
        results.print(comparison(manifests))


def _finished_last(runs: Path) -> Path:
    """The run whose test split was read last."""
    finished = sorted(runs.glob("*/test.json"), key=lambda path: path.stat().st_mtime)
    if not finished:
        raise ConfigError(f"{runs}: holds no finished run; run `python -m training run` first")
    return finished[-1].parent


def _export(run: Run, bundles: Path, stored_as: StoredAs) -> dict[str, Manifest]:
    prepared = open_prepared(run.directory / "data")
    scores = evaluate_test(run)["scores"]
    chosen = {arm: _best(run, phases) for arm, phases in arm_phases(run).items()}
    # Both tables pass their gates before anything is written.
    as_served = {arm: served(each.model, prepared, stored_as) for arm, (_, each) in chosen.items()}
    manifests = {}
    for arm, (phase, trained) in chosen.items():
        metrics = {f"test_{name}": value for name, value in scores[phase].items()}
        metrics["validation_auc"] = trained.meta["validation_auc"]
        name = f"{run.config.run.name}-{trained.model.name}"
        path = pack(trained, prepared, name=name, metrics=metrics, root=bundles / arm, as_served=as_served[arm])
        manifests[arm] = read_bundle(path).manifest
        console.print(f"  {path}, exported {manifests[arm].lineage['exported_at']}", highlight=False)
    return manifests


def _best(run: Run, phases: tuple[str, ...]) -> tuple[str, Trained]:
    """The phase that validation prefers, and its model."""
    models = {phase: run.load(phase) for phase in phases}
    return max(models.items(), key=lambda each: float(each[1].meta["validation_auc"]))


def comparison(manifests: dict[str, Manifest]) -> Table:
    """Student against teacher: quality, size, arithmetic and onnxruntime time, with the student's share.

    A teacher without multiplications, logistic regression, has no share of FLOPs.
    """
    student, teacher = manifests["student"], manifests["teacher"]
    title = f"{student.model} against {teacher.model}"
    table = results_table(title, "", "student", "teacher", "student / teacher")
    for label, numbers in _rows(student, teacher):
        low, high = numbers
        table.add_row(label, _plain(low), _plain(high), f"{low / high:.3f}" if high else "-")
    return table


def _rows(student: Manifest, teacher: Manifest) -> list[tuple[str, tuple[float, float]]]:
    pair = (student, teacher)
    n = student.flops.candidates
    rows = [
        (f"test {name}", (student.metrics[f"test_{key}"], teacher.metrics[f"test_{key}"]))
        for name, key in (("AUC", "auc"), ("log loss", "log_loss"), ("calibration", "calibration"))
    ]
    rows.append(("parameters", (student.parameters, teacher.parameters)))
    if student.embedding is not None and teacher.embedding is not None:
        label = f"embedding table, bytes as {student.embedding.stored_as}"
        rows.append((label, (student.embedding.bytes, teacher.embedding.bytes)))
    rows.append(("FLOPs per candidate, effective", (student.flops.effective, teacher.flops.effective)))
    rows.append((f"FLOPs per candidate, executed, N = {n}", (student.flops.executed, teacher.flops.executed)))
    for size in SIZES:
        times = [manifest.graph.timings_us[manifest.graph.form_for(size)][str(size)] for manifest in pair]
        rows.append((f"onnxruntime µs, one thread, N = {size}", (times[0], times[1])))
    return rows


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.5g}"  # noqa: PLR2004 - digits worth showing


if __name__ == "__main__":
    app()
