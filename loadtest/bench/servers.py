"""Server processes: each on one core, all on uvicorn with uvloop and httptools, each with the forms that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.bench import wire
from loadtest.bench.bundles import Subject
from loadtest.bench.wire import WireForm
from loadtest.launch import Endpoint, launched, without_settings

NATIVE, ONNXRUNTIME = "native", "onnxruntime"
OURS = (NATIVE, ONNXRUNTIME)
"""The service with either scorer."""
REFERENCE, TUTORIAL, EMPTY = "reference", "tutorial", "empty"


@dataclass(frozen=True, kw_only=True)
class Server:
    """A command that prints its URL once it answers."""

    name: str
    command: tuple[str, ...]
    forms: tuple[WireForm, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def servers(subject: Subject) -> tuple[Server, ...]:
    """Every server, for one model."""
    others = {REFERENCE: wire.ID_ROWS, TUTORIAL: wire.TYPED_ROWS, EMPTY: wire.EMPTY}
    apps = [
        Server(
            name=name,
            command=("-m", "loadtest.bench.apps", name, "--graph", str(subject.rows_graph)),
            forms=(form,),
        )
        for name, form in others.items()
    ]
    return (*(ours(subject, scorer) for scorer in OURS), *apps)


def ours(subject: Subject, scorer: str) -> Server:
    """The service itself with one scorer."""
    options = ("--port", "0", "--student-bundle", str(subject.root), "--teacher-bundle", str(subject.root / "none"))
    return Server(
        name=scorer,
        command=("-m", "service", "serve", *options),
        forms=wire.OUR_FORMS,
        environment={"CTR_SCORER": scorer, "CTR_EVENTS": ""},
    )


@contextmanager
def running(started: tuple[Server, ...], core: int, logs: Path) -> Iterator[dict[str, Endpoint]]:
    """Server → endpoint, while all of them run pinned to `core`; what is not asked is idle.

    Raises:
        LoadError: one does not start; with what it said.
    """
    with ExitStack() as stack:
        yield {server.name: stack.enter_context(_running(server, core, logs)) for server in started}


@contextmanager
def _running(server: Server, core: int, logs: Path) -> Iterator[Endpoint]:
    environment = {**without_settings(), **server.environment}
    log = logs / f"{server.name}.log"
    with launched(server.command, environment, name=f"server {server.name}", core=core, log=log) as endpoint:
        yield endpoint
