"""`python -m service serve`: the service on one port.

At ready time it prints a curl line that works as it stands, and where the metrics are.
"""

from __future__ import annotations

import json
import logging
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvicorn

from service.app import Service, create_app
from service.bundle import Bundle
from service.models import example_requests
from service.settings import Settings, SettingsError, read_settings
from service.state import STUDENT

SHOWN_CANDIDATES = 3
"""Candidates in the printed curl line."""

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@cli.callback()
def service() -> None:
    """Click-through-rate prediction over HTTP."""


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [CTR_HOST, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for a free one [CTR_PORT, 8000].")] = None,
    student_bundle: Annotated[Path | None, typer.Option(help="Student's bundle [CTR_STUDENT_BUNDLE].")] = None,
    teacher_bundle: Annotated[Path | None, typer.Option(help="Teacher's bundle [CTR_TEACHER_BUNDLE].")] = None,
    log_level: Annotated[str | None, typer.Option(help="critical to debug [CTR_LOG_LEVEL, warning].")] = None,
) -> None:
    """Serve predictions until stopped; an option wins over its environment variable."""
    try:
        settings = read_settings(
            host=host, port=port, student_bundle=student_bundle, teacher_bundle=teacher_bundle, log_level=log_level
        )
    except SettingsError as error:
        _stop(str(error))
    if not settings.student_bundle.is_dir():
        _stop(
            f"student bundle: {settings.student_bundle} is no directory, expected a bundle's; "
            "run `make train` or give --student-bundle"
        )
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    listener = _listen(settings)
    # uvicorn answers what is in flight, then raises the signal again: being told to stop is no failure.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    Server(create_app(settings), settings).run(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn that says how to use the service once it listens."""

    def __init__(self, app: Service, settings: Settings) -> None:
        config = uvicorn.Config(app, http="httptools", loop="uvloop", lifespan="on", log_config=None, access_log=False)
        super().__init__(config)
        self._app = app
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the curl line, or why the service is not ready."""
        await super().startup(sockets)
        port = sockets[0].getsockname()[1] if sockets else self._settings.port
        typer.echo(greeting(self._app, base_url(self._settings.host, port)))


def greeting(app: Service, url: str) -> str:
    """What to do with the service at `url`: a request to send, or the reason why it is not ready."""
    student = app.service_state.arms.get(STUDENT)
    metrics = f"metrics: {url}/metrics"
    if student is None:
        return f"not ready: {app.service_state.not_ready().detail}\n{metrics}"
    lines = [f"serving {student.model.name} on {url}", curl_line(student.model.bundle, url), metrics]
    lines += [f"no {arm}: {reason}" for arm, reason in app.service_state.reasons.items()]
    return "\n".join(lines)


def curl_line(bundle: Bundle, url: str) -> str:
    """A command that asks the service at `url` for the first few candidates of the bundle's example."""
    forms = example_requests(bundle)
    request = forms.get("items") or forms["columns"]
    key = "items" if "items" in request else "candidates"
    sent = request[key]
    request[key] = (
        sent[:SHOWN_CANDIDATES]
        if isinstance(sent, list)
        else {name: column[:SHOWN_CANDIDATES] for name, column in sent.items()}
    )
    body = shlex.quote(json.dumps(request, ensure_ascii=False))
    return f"curl -s {url}/predict -H 'Content-Type: application/json' -d {body}"


def base_url(host: str, port: int) -> str:
    """The URL under which this machine reaches a service that listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _listen(settings: Settings) -> socket.socket:
    """A socket bound to the settings' host and port; ends the process with one line when that cannot be."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        _stop(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; "
            "stop what uses it, or give another --port (0 picks a free one) or --host"
        )
    return listener


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    cli(prog_name="python -m service")
