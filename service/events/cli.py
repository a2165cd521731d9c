"""`python -m service events`: what a store has, its tables as Parquet files, and the end of what is old."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Lines

from service.events.sql import SqlStore
from service.events.store import StoreError
from service.events.tables import PRUNED
from service.events.urls import open_store
from service.settings import SettingsError, read_settings

DAY_MS = 86_400_000
cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Url = Annotated[str | None, typer.Option("--events", help="URL of the store [CTR_EVENTS, sqlite:events.sqlite3].")]


@cli.callback()
def events() -> None:
    """The event store: exposures, answers, feedback, shadow comparisons."""


@cli.command()
def info(url: Url = None) -> None:
    """How many rows of what are stored, from when to when."""
    with _opened(url) as store, store.reading() as session:
        lines = Lines("table", "rows", "oldest", "newest", title=store.name)
        for table, column in PRUNED:
            sql = f"SELECT COUNT(*), MIN({column}), MAX({column}) FROM {table.name}"  # noqa: S608 - our names
            [(rows, oldest, newest)] = session.rows(sql)
            lines.add_row(table.name, f"{rows:,}", _shown(oldest), _shown(newest))
        [(version,)] = session.rows("SELECT MAX(version) FROM schema_version")
        sql = (
            "SELECT SUM(CASE WHEN late THEN 1 ELSE 0 END), SUM(CASE WHEN late IS NULL THEN 1 ELSE 0 END) FROM feedback"
        )
        [(late, unknown)] = session.rows(sql)
        revision = store.latest_revision()
    Console().print(lines)
    typer.echo(f"schema version {version}, revision {revision} of the experiments in force")
    typer.echo(f"feedback: {late or 0:,} late, {unknown or 0:,} before its exposure was known")


@cli.command()
def export(
    directory: Annotated[Path, typer.Argument(help="Where to; files of the tables' names are replaced.")],
    url: Url = None,
) -> None:
    """Write every table as a Parquet file; one consistent state, while the service goes on."""
    try:
        from service.events import parquet  # noqa: PLC0415 - its library is an extra
    except ImportError:
        _stop("Parquet files need pyarrow; install it with `pip install 'kd-dagfm-serving[parquet]'`")
    with _opened(url) as store, _progress() as progress:
        totals = _totals(store)
        tasks = {table: progress.add_task(table, total=rows) for table, rows in totals.items()}
        try:
            parquet.export(store, directory, lambda table, rows: progress.advance(tasks[table], rows))
        except OSError as error:
            _stop(f"{directory} cannot be written: {error.strerror or error}; give another directory or make room")
    typer.echo(f"{len(totals)} files in {directory}")


@cli.command()
def prune(
    days: Annotated[float, typer.Option(min=0, help="Delete what is older than this.")],
    url: Url = None,
) -> None:
    """Delete old events, while the service goes on. A SQLite file keeps its size, and new events fill it again."""
    before_ms = round(time.time() * 1000 - days * DAY_MS)
    with _opened(url) as store, _progress() as progress:
        old = sum(_rows(store, f"{table.name} WHERE {column} < {before_ms}") for table, column in PRUNED)
        task = progress.add_task("rows", total=old)
        pruned = store.prune(before_ms, lambda rows: progress.advance(task, rows))
    typer.echo(f"{pruned:,} rows older than {_shown(before_ms)} deleted")


@contextmanager
def _opened(url: str | None) -> Iterator[SqlStore]:
    """The store of this URL or of the settings; ends the process with one line when something is wrong with it."""
    try:
        settings = read_settings(events=url)
        store = open_store(settings.events, settings.attribution_ms)
        try:
            yield store
        finally:
            store.close()
    except (SettingsError, StoreError) as error:
        _stop(str(error))


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), *Progress.get_default_columns()[1:3], MofNCompleteColumn()
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))


def _totals(store: SqlStore) -> dict[str, int]:
    return {name: _rows(store, name) for name in (*(table.name for table, _ in PRUNED), "revision")}


def _rows(store: SqlStore, source: str) -> int:
    return int(store.glance(f"SELECT COUNT(*) FROM {source}")[0][0])  # noqa: S608 - our names and a number


def _shown(ts_ms: int | None) -> str:
    return "" if ts_ms is None else datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)
