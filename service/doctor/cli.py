"""The command; what examines is imported when it runs: a service that starts pays nothing for its doctor."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from service.doctor.render import Groups

_WIDTH = 160


def doctor(
    *,
    student_bundle: Annotated[Path | None, typer.Option(help="Student's bundle [CTR_STUDENT_BUNDLE].")] = None,
    teacher_bundle: Annotated[Path | None, typer.Option(help="Teacher's bundle [CTR_TEACHER_BUNDLE].")] = None,
    port: Annotated[int | None, typer.Option(help="Port [CTR_PORT, 8000].")] = None,
    workers: Annotated[str | None, typer.Option(help="Processes on the port [CTR_WORKERS, 1].")] = None,
    events: Annotated[str | None, typer.Option(help="Event store [CTR_EVENTS].")] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look at machine, settings, bundles, port, clock, arms and event store; exit 1 if something is a problem."""
    from service.doctor.finding import Status  # noqa: PLC0415
    from service.doctor.render import to_json, worst  # noqa: PLC0415

    given = {
        "student_bundle": student_bundle,
        "teacher_bundle": teacher_bundle,
        "port": port,
        "workers": workers,
        "events": events,
    }
    logging.disable()  # what checks come across is told as findings, not as lines beside them
    try:
        groups = findings(given)
    finally:
        logging.disable(logging.NOTSET)
    if json:
        typer.echo(to_json(groups))
    else:
        _print(groups)
    raise typer.Exit(int(worst(groups) is Status.PROBLEM))


def findings(given: dict[str, Path | int | str | None]) -> Groups:
    """What all checks find under these settings; where they are wrong, what can be said without them."""
    from service.doctor.checks import ALL, WITHOUT_SETTINGS  # noqa: PLC0415
    from service.doctor.finding import Subject, examine, problem  # noqa: PLC0415

    environment = dict(os.environ)
    try:
        settings = read_settings(**given)
    except SettingsError as error:
        wrong = problem("settings", str(error), "settings that can be read", "correct them; the rest is looked at then")
        without = Subject(settings=Settings.model_construct(), environment=environment)
        return {"settings": [wrong], **examine(WITHOUT_SETTINGS, without)}
    return examine(ALL, Subject(settings=settings, environment=environment))


def _print(groups: Groups) -> None:
    from rich.console import Console  # noqa: PLC0415

    from service.doctor.render import summary, table  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table(groups))
    typer.echo(summary(groups))
