"""`python -m training`: prepare, teach, distill, finetune, evaluate, or all of them as `run`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer

from service.bundle import BundleError
from training.bench import epoch_times
from training.checkpoint import CheckpointError
from training.config import Config, ConfigError, load, nearest
from training.data import movielens, synthetic
from training.data.click_log import DataError
from training.data.prepare import open_prepared
from training.distill import distill
from training.evaluate import Report, Slicing, evaluate_part, evaluate_slices, evaluate_test
from training.evaluate.picture import draw_part, draw_slices
from training.evaluate.tables import overall_table, slices_table
from training.finetune import finetune
from training.loop import DivergedError
from training.models.registry import model_class, names
from training.progress import console, download_bar, results, results_table
from training.reproduce.command import Reproduction, tables_of
from training.reproduce.measure import folder_of
from training.run import Run, prepare_once
from training.search.command import Search
from training.search.grid import axes_of
from training.search.results import search_table
from training.study.settings import load_settings
from training.study.store import Store
from training.teach import teach

CONFIGS = Path(__file__).parent / "configs"
MOVIELENS_STUDY = CONFIGS / "studies" / "movielens.toml"
ConfigPath = Annotated[Path | None, typer.Option("--config", help="TOML of the run. Default: by the data at hand.")]
DataPath = Annotated[Path | None, typer.Option("--data", envvar="CTR_DATA", help="Raw data: file or folder.")]
RunsPath = Annotated[Path, typer.Option("--runs", envvar="CTR_RUNS", help="Where run directories are kept.")]
Part = Literal["validation", "test"]
Phase = Literal["teach", "distill", "finetune"]
Metric = Literal["auc", "log_loss", "logit_gap"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def run(config: ConfigPath = None, data: DataPath = None, runs: RunsPath = Path("runs")) -> None:
    """All phases, each continued where it was left: prepare, teach, distill, fine-tune, evaluate."""
    with _one_line_errors():
        opened = _open(config, data, runs)
        opened.prepare(_source(opened.config, data))
        distilled = distill(opened, teach(opened))
        if opened.config.run.finetune:
            finetune(opened, distilled)
        _show(opened, evaluate_test(opened))


@app.command()
def prepare(config: ConfigPath = None, data: DataPath = None, runs: RunsPath = Path("runs")) -> None:
    """Encode the raw click log once."""
    with _one_line_errors():
        opened = _open(config, data, runs)
        prepared = opened.prepare(_source(opened.config, data))
        results.print_json(data=prepared.meta)


@app.command(name="teach")
def teach_command(config: ConfigPath = None, data: DataPath = None, runs: RunsPath = Path("runs")) -> None:
    """Train the teachers on clicks."""
    with _one_line_errors():
        teach(_open(config, data, runs))


@app.command(name="distill")
def distill_command(config: ConfigPath = None, data: DataPath = None, runs: RunsPath = Path("runs")) -> None:
    """Train the student on what its teachers say."""
    with _one_line_errors():
        opened = _open(config, data, runs)
        distill(opened, opened.taught())


@app.command(name="finetune")
def finetune_command(config: ConfigPath = None, data: DataPath = None, runs: RunsPath = Path("runs")) -> None:
    """Train the distilled student on clicks, all weights free."""
    with _one_line_errors():
        opened = _open(config, data, runs)
        finetune(opened, opened.load("distill"))


@app.command()
def evaluate(
    config: ConfigPath = None,
    data: DataPath = None,
    runs: RunsPath = Path("runs"),
    *,
    part: Annotated[Part, typer.Option(help="Which rows: the test part is read once, validation at will.")] = "test",
    by: Annotated[str, typer.Option(help="Fields to slice by: FIELD or FIELD:seen, comma-separated.")] = "",
    phase: Annotated[
        str | None, typer.Option(help="Whose slices are shown; all are written. Default: the last phase's.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Values with a slice of their own; the rest are one.")] = 12,
) -> None:
    """Metrics of the run's finished models on the test part, read once, or on validation; overall and by slice."""
    with _one_line_errors():
        opened = _open(config, data, runs)
        slicings = Slicing.parse(by, open_prepared(opened.directory / "data")) if by else ()
        shown = phase or opened.phases[-1]
        if shown not in opened.phases:
            raise ConfigError(f"--phase {shown}: unknown{nearest(shown, opened.phases)}")
        report = evaluate_test(opened) if part == "test" else evaluate_part(opened, part)
        _show(opened, report)
        for slicing in slicings:
            sliced = evaluate_slices(opened, part, slicing, top=top)
            results.print(slices_table(sliced, shown))
            console.print(f"drawn: {draw_slices(opened, sliced, shown)}", highlight=False)


@app.command()
def reproduce(  # noqa: PLR0917 - options of a command
    config: Annotated[Path, typer.Option("--config", help="TOML of the study.")] = MOVIELENS_STUDY,
    data: DataPath = None,
    runs: RunsPath = Path("runs"),
    only: Annotated[list[str] | None, typer.Option("--only", help="A table or figure; may be repeated.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Only the first so many seeds.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time, one thread each.")] = 2,
    estimate: Annotated[bool, typer.Option(help="Say how long it takes, train nothing.")] = False,  # noqa: FBT002
    report: Annotated[Path | None, typer.Option(help="Where the report goes. Default: report/ of the study.")] = None,
) -> None:
    """Both papers' tables and figures: train what they take, measure it, write one report. Goes on after a kill."""
    with _one_line_errors():
        settings = load_settings(config)
        settings = settings if seeds is None else settings.with_seeds(seeds)
        tables = tables_of(settings, only or [])
        directory = folder_of(runs, settings.study.name)
        prepared = prepare_once(directory / "data", settings.data, _raw_data(settings.data.name, data))
        torch.set_num_threads(1)
        command = " ".join(("python -m training", *sys.argv[1:]))
        store = Store(directory, prepared)
        made = Reproduction(settings=settings, store=store, tables=tables, workers=workers, command=command)
        made.estimate()
        if estimate:
            return
        failures = made.train()
        console.print(f"{made.write(report or directory / 'report')}: written", highlight=False)
        if failures:
            raise typer.Exit(1)


@app.command()
def search(
    config: ConfigPath = None,
    data: DataPath = None,
    runs: RunsPath = Path("runs"),
    *,
    grid: Annotated[Path | None, typer.Option(help="TOML of lists: the values to try, by section and key.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value,value; may be repeated.")] = None,
    until: Annotated[Phase | None, typer.Option(help="What is judged, and trained last. Default: the last.")] = None,
    select: Annotated[Metric, typer.Option(help="The validation metric that decides.")] = "auc",
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time, one thread each.")] = 1,
) -> None:
    """Train every point of a small grid and choose by validation alone; phases that points share are trained once."""
    with _one_line_errors():
        base = load(config) if config else _default_config(data)
        axes, root = axes_of(grid, set_ or []), runs / f"{base.run.name}-search"
        source = _source(base, data)
        plan = Search(base=base, axes=axes, root=root, source=source, until=until, metric=select, processes=jobs)
        found = plan.run()
        results.print(search_table(found, select, f"{base.run.name}: validation of {plan.judged}, {len(found)} points"))
        console.print(f"written: {root}/results.jsonl, results.png, best.toml", highlight=False)
        if any(result.failure for result in found):
            raise typer.Exit(1)


@app.command()
def models() -> None:
    """Every registered model, with what it is."""
    table = results_table("models", "model", "what it is", "options", left=3)
    for name in names():
        cls = model_class(name)
        table.add_row(name, (cls.__doc__ or "").split("\n")[0], ", ".join(cls.Options.model_fields))
    results.print(table)


@app.command()
def download(target: Path = Path("data/ml-1m.zip"), url: str = movielens.URL) -> None:
    """Fetch MovieLens-1M from GroupLens (research use; not to be redistributed) and check what it holds."""
    with _one_line_errors(), download_bar("MovieLens-1M") as bars:
        task = bars.add_task("download", total=None)
        movielens.download(target, url=url, report=lambda done, total: bars.update(task, completed=done, total=total))
        console.print(f"{target}: whole. Use it with --data {target} or CTR_DATA={target}")


@app.command()
def generate(out: Path = Path("data/clicks.csv"), config: ConfigPath = CONFIGS / "synthetic.toml") -> None:
    """Write a click log drawn from a known click model as CSV, each row with its true probability.

    Train on it with --config of the same [data] section and --data OUT.
    """
    with _one_line_errors():
        options = load(config or CONFIGS / "synthetic.toml").data.options
        if not isinstance(options, synthetic.SyntheticConfig):
            raise ConfigError(f"{config}: [data] set is not 'synthetic'; expected a configuration of generated data")
        out.parent.mkdir(parents=True, exist_ok=True)
        log = synthetic.generate(options)
        synthetic.write_csv(log, out)
        console.print(f"{out}: {len(log.clicks_N):,} rows, {log.clicks_N.mean():.1%} clicked", highlight=False)


@app.command()
def bench(config: ConfigPath = None, data: DataPath = None, runs: RunsPath = Path("runs"), epochs: int = 3) -> None:
    """Seconds of one training epoch of the run's teacher and student, each as its phase trains it."""
    with _one_line_errors():
        opened = _open(config, data, runs)
        prepared = opened.prepare(_source(opened.config, data))
        title = f"one epoch of {opened.config.run.name}, median of {epochs}, {torch.get_num_threads()} thread(s)"
        table = results_table(title, "model", "phase", "rows", "seconds", "rows/s", left=2)
        for row in epoch_times(prepared, opened.config, epochs):
            console.print(f"{row[0]}: {row[1]} timed", highlight=False)
            table.add_row(*row)
        results.print(table)


def _open(config: Path | None, data: Path | None, runs: Path) -> Run:
    loaded = load(config) if config else _default_config(data)
    torch.set_num_threads(loaded.run.threads)
    return Run.open(runs, loaded)


def _default_config(data: Path | None) -> Config:
    """MovieLens-1M if it can be found, else generated data; says which and why."""
    found = _find_movielens(data)
    if found is None:
        console.print("MovieLens-1M not found (--data, CTR_DATA): the click log is generated (synthetic.toml)")
        return load(CONFIGS / "synthetic.toml")
    console.print(f"data: {found} (movielens.toml)", highlight=False)
    return load(CONFIGS / "movielens.toml")


def _source(config: Config, data: Path | None) -> Path | None:
    """The raw data of a run: what was given, or where its data set usually is."""
    return _raw_data(config.data.name, data)


def _raw_data(data_set: str, data: Path | None) -> Path | None:
    if data_set == "movielens":
        return _find_movielens(data)
    if data_set == "synthetic" and data is not None and data.suffix != ".csv":
        console.print(f"{data} is no CSV of generated clicks: the click log is generated anew", highlight=False)
        return None
    return data


def _find_movielens(data: Path | None) -> Path | None:
    """Where MovieLens-1M is; on a terminal, offers to fetch it if it is nowhere."""
    found = movielens.find(data)
    question = f"MovieLens-1M not found. Fetch it from {movielens.URL} (6 MB, research use)?"
    if found is None and sys.stdin.isatty() and typer.confirm(question, default=False):
        download(movielens.DOWNLOADED)
        return movielens.DOWNLOADED
    return found


def _show(opened: Run, report: Report) -> None:
    """Metrics of a part as a table and as a picture."""
    results.print(overall_table(opened, report))
    console.print(f"drawn: {draw_part(opened, report)}", highlight=False)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Errors meant for people end the command with their message and status 2, without a traceback."""
    try:
        yield
    except (ConfigError, DataError, CheckpointError, DivergedError, BundleError, OSError) as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
