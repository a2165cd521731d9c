"""`python -m service serve`: the service on one port, in one process or in several.

At ready time it prints a curl line that works as it stands, and where the metrics are.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, NoReturn

if __name__ == "__main__":
    # The first process of a container is deaf to what it has no handler for, and the imports below take a second.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))

import typer
import uvicorn

from service import logs
from service.app import Service, create_app
from service.bundle_cli import cli as bundle_cli
from service.cpus import effective_cpus
from service.doctor.cli import doctor
from service.events.cli import cli as events_cli
from service.experiment.cli import add_experiment_commands
from service.fetch_cli import add_fetch_command
from service.greeting import announced, base_url, greeting
from service.prechecks import check_start
from service.settings import Settings, SettingsError, read_settings
from service.settle import settle
from service.workers import SERVER, serve_with_workers

logger = logging.getLogger(__name__)
cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
cli.add_typer(bundle_cli, name="bundle")
cli.add_typer(events_cli, name="events")


@cli.callback()
def service() -> None:
    """Click-through-rate prediction over HTTP."""


@cli.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on [CTR_HOST, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for a free one [CTR_PORT, 8000].")] = None,
    student_bundle: Annotated[Path | None, typer.Option(help="Student's bundle [CTR_STUDENT_BUNDLE].")] = None,
    teacher_bundle: Annotated[Path | None, typer.Option(help="Teacher's bundle [CTR_TEACHER_BUNDLE].")] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes on the port, auto for one per effective CPU [CTR_WORKERS, 1].")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="critical to debug [CTR_LOG_LEVEL, warning].")] = None,
) -> None:
    """Serve predictions until stopped; an option wins over its environment variable."""
    try:
        settings = read_settings(
            host=host,
            port=port,
            student_bundle=student_bundle,
            teacher_bundle=teacher_bundle,
            workers=workers,
            log_level=log_level,
        )
        check_start(settings)
    except SettingsError as error:
        _stop(str(error))
    logs.configure(settings.log_level, settings.log_format, "service" if settings.workers == 1 else "supervisor")
    _log_cpus(settings.workers)
    listeners = [_bind(settings.host, settings.port, "--port")]
    if settings.admin_port is not None:
        listeners.append(_bind(settings.host, settings.admin_port, "CTR_ADMIN_PORT"))
    # uvicorn answers what is in flight, then raises the signal again: being told to stop is no failure.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    if settings.workers > 1:
        url = base_url(settings.host, listeners[0].getsockname()[1])
        raise typer.Exit(serve_with_workers(settings, listeners, url))
    for listener in listeners:
        listener.listen(2048)
    Server(create_app(settings), settings).run(sockets=listeners)


class Server(uvicorn.Server):
    """uvicorn that says how to use the service once it listens."""

    def __init__(self, app: Service, settings: Settings) -> None:
        super().__init__(uvicorn.Config(app, **SERVER))
        self._app = app
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the curl line, or why the service is not ready."""
        await super().startup(sockets)
        settle()
        port = sockets[0].getsockname()[1] if sockets else self._settings.port
        typer.echo(announced(greeting(self._app, base_url(self._settings.host, port))))


def _log_cpus(workers: int) -> None:
    cpus = effective_cpus()
    logger.info("%g effective CPUs, workers: %d", cpus, workers)
    if workers > max(cpus, 1.0):
        logger.warning("%d workers share %g effective CPUs; --workers auto starts as many as they feed", workers, cpus)


def _bind(host: str, port: int, given_by: str) -> socket.socket:
    """A socket bound to a host and port; ends the process with one line when that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        free = " (0 picks a free one)" if given_by == "--port" else ""
        _stop(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            f"stop what uses it, or give another {given_by}{free} or --host"
        )
    return listener


def _stop(message: str) -> NoReturn:
    typer.echo(logs.line(logs.wanted(), message, level="error"), err=True)
    raise typer.Exit(1)


add_experiment_commands(cli)
add_fetch_command(cli)
cli.command()(doctor)

if __name__ == "__main__":
    cli(prog_name="python -m service")
