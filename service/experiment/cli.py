"""`python -m service report`, `plan` and `watch`: what came of an experiment, what the next one needs, what to stop.

SciPy and everything that computes is imported when a command runs: the service itself never pays for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service import logs
from service.bundle import replace_file
from service.events import open_store
from service.events.sql import SqlStore
from service.events.store import StoreError
from service.settings import SettingsError, read_settings

if TYPE_CHECKING:
    from service.experiment.watch import Observer  # imports SciPy

UNKNOWN = 4
"""Exit status where the experiment or phase asked for does not exist."""

Events = Annotated[str | None, typer.Option(help="Event store, sqlite:PATH or postgresql://... [CTR_EVENTS].")]
Until = Annotated[str | None, typer.Option(help="Only what happened before: ISO 8601 (UTC) or ms since 1970.")]
Out = Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")]


class Form(Enum):
    """How a report is written."""

    JSON = "json"
    HTML = "html"
    TEXT = "text"


def add_experiment_commands(cli: typer.Typer) -> None:
    """Add `report`, `plan` and `watch`."""
    cli.command()(report)
    cli.command()(plan)
    cli.command()(watch)


def report(
    *,
    events: Events = None,
    experiment: Annotated[str | None, typer.Option(help="Its name; the first in force if left out.")] = None,
    phase: Annotated[int | None, typer.Option(help="Its phase; the last one if left out.")] = None,
    until: Until = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    html: Annotated[bool, typer.Option("--html", help="As one self-contained HTML file.")] = False,
    text: Annotated[bool, typer.Option("--text", help="As text, the default.")] = False,
    out: Out = None,
    niceness: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """What came of an experiment: verdict, effect, guardrails, SRM, calibration."""
    form = _form(json=json, html=html, text=text)
    if niceness:
        os.nice(niceness)
    from service.experiment.report.build import build_report  # noqa: PLC0415 - SciPy
    from service.experiment.report.subject import UnknownPhaseError  # noqa: PLC0415

    with _store(events) as store:
        try:
            found = build_report(store, experiment, phase, _milliseconds(until))
        except UnknownPhaseError as error:
            _stop(str(error), UNKNOWN)
    if form is Form.TEXT:
        from service.experiment.report.text import render_text  # noqa: PLC0415

        _write(render_text(found, color=out is None and sys.stdout.isatty()).encode(), out)
    elif form is Form.HTML:
        from service.experiment.report.html import render_html  # noqa: PLC0415

        _write(render_html(found).encode(), out)
    else:
        from service.experiment.report.schema import to_json  # noqa: PLC0415

        _write(to_json(found), out)


def plan(
    *,
    events: Events = None,
    lift: Annotated[float, typer.Option(help="Relative effect to be found, or margin not to be lost.")] = 0.01,
    power: Annotated[float, typer.Option(help="Chance of finding it.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Two-sided level.")] = 0.05,
    arms: Annotated[int, typer.Option(min=2, help="Arms of equal weight, the control included.")] = 2,
    ramp: Annotated[float, typer.Option(help="Percent of the units that is included.")] = 100.0,
    until: Until = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    out: Out = None,
) -> None:
    """Units and days an experiment needs, from the traffic in the event store."""
    import orjson  # noqa: PLC0415

    from service.experiment.planning import NothingLoggedError, plan_experiment, read_traffic  # noqa: PLC0415
    from service.experiment.report.text import render_plan  # noqa: PLC0415
    from service.experiment.statistics.errors import StatisticsError  # noqa: PLC0415

    with _store(events) as store:
        traffic = read_traffic(store, _milliseconds(until))
    try:
        found = plan_experiment(traffic, lift=lift, power=power, alpha=alpha, arms=arms, ramp=ramp / 100)
    except (NothingLoggedError, StatisticsError) as error:
        _stop(str(error))
    if json:
        _write(orjson.dumps(asdict(found), option=orjson.OPT_APPEND_NEWLINE), out)
    else:
        _write(render_plan(found, color=out is None and sys.stdout.isatty()).encode(), out)


def watch(
    *,
    events: Events = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
    niceness: Annotated[int, typer.Option(help="Added to the priority's number: others come first.")] = 10,
    metrics_port: Annotated[
        int | None, typer.Option(help="Let Prometheus scrape what is seen; 0 for a free port.")
    ] = None,
    metrics_host: Annotated[str, typer.Option(help="Address to be scraped at.")] = "127.0.0.1",
) -> None:
    """Look at every running experiment again and again, and stop what does harm; until stopped itself."""
    os.nice(niceness)
    logs.configure("warning", logs.wanted(), "watch")
    from service.experiment.watch import watch as watch_store  # noqa: PLC0415 - SciPy

    last: dict[str, str] = {}
    with _store(events) as store, suppress(KeyboardInterrupt):
        observer = None if metrics_port is None else _scraped(metrics_host, metrics_port)
        for name, verdict in watch_store(store, every, observer):
            if last.get(name) != verdict.verdict:
                typer.echo(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {name}: {verdict.verdict}")
            last[name] = verdict.verdict


def _scraped(host: str, port: int) -> Observer:
    """An observer that Prometheus can scrape; ends the process with one line when the port cannot be had."""
    from service.experiment.watch_metrics import serve_metrics  # noqa: PLC0415 - as `watch`

    try:
        observer, url = serve_metrics(host, port)
    except OSError as error:
        _stop(
            f"--metrics-port: cannot listen on {host} port {port}: {error.strerror or error}; give another, 0 for any"
        )
    typer.echo(f"metrics: {url}")
    return observer


def _form(*, json: bool, html: bool, text: bool) -> Form:
    asked = [form for form, wanted in ((Form.JSON, json), (Form.HTML, html), (Form.TEXT, text)) if wanted]
    if len(asked) > 1:
        _stop(f"got {' and '.join(f'--{form.value}' for form in asked)}, expected one of them")
    return asked[0] if asked else Form.TEXT


@contextmanager
def _store(events: str | None) -> Iterator[SqlStore]:
    """The store, opened; ends the process with one line where it cannot be read."""
    try:
        settings = read_settings(events=events)
        if not settings.events:
            _stop("CTR_EVENTS is empty: there is no event store; give one with --events")
        _check_exists(settings.events)
        store = open_store(settings.events, round(settings.attribution_hours * 3_600_000))
        try:
            yield store
        finally:
            store.close()
    except (SettingsError, StoreError) as error:
        _stop(str(error))


def _check_exists(url: str) -> None:
    """Refuse a file that is not there: opening it would make an empty one."""
    scheme, _, path = url.partition(":")
    if scheme == "sqlite" and not Path(path).exists():
        _stop(f"{path} does not exist, expected an event store; give the service's with --events or CTR_EVENTS")


def _milliseconds(time: str | None) -> int | None:
    if time is None or time.isdecimal():
        return None if time is None else int(time)
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        _stop(f"--until: got {time!r}, expected ISO 8601 such as 2026-05-04T00:00 or milliseconds since 1970")
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _write(content: bytes, out: Path | None) -> None:
    """To standard output, or to a file that appears whole or not at all."""
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        replace_file(out, content)
    except OSError as error:
        _stop(f"--out: {out} cannot be written: {error.strerror or error}")


def _stop(message: str, status: int = 1) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(status)
