"""A compose project that is up, through the command that brought it up."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

DEFAULT = "docker compose -f docker/compose.yaml"
LIMIT_S = 300.0


class ComposeError(RuntimeError):
    """A command of compose failed; the message has the command and its last words."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container, as `ps` shows it."""

    service: str
    state: str
    """running, exited, ..."""
    health: str
    """healthy, unhealthy, starting, or empty where there is no health check."""
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a container takes at one moment, as `stats` shows it."""

    service: str
    cpu: str
    memory: str


class Project:
    """A compose project.

    Args:
        command: what stands before `ps`, `up` and so on; $COMPOSE where it is set, split as a shell would.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = list(command or shlex.split(os.environ.get("COMPOSE") or DEFAULT))

    def run(self, *arguments: str, limit_s: float = LIMIT_S) -> str:
        """What a command of compose prints on standard output; raises ComposeError if it fails."""
        ended = self.attempt(*arguments, limit_s=limit_s)
        if ended.returncode != 0:
            said = " ".join(ended.stderr.split())[-500:]
            raise ComposeError(f"`{shlex.join(ended.args)}` ended with {ended.returncode}: {said}")
        return ended.stdout

    def attempt(self, *arguments: str, limit_s: float = LIMIT_S) -> subprocess.CompletedProcess[str]:
        """A command of compose that may fail; raises ComposeError if it cannot be run or does not end."""
        command = [*self._command, *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ComposeError(f"`{shlex.join(command)}`: {error}") from error

    def containers(self) -> dict[str, Container]:
        """Service → its container, those that ended included."""
        found = {}
        for row in _rows(self.run("ps", "--all", "--format", "json")):
            found[row["Service"]] = Container(
                service=row["Service"], state=row["State"], health=row["Health"], exit_code=row["ExitCode"]
            )
        return found

    def url(self, service: str, port: int) -> str:
        """Where a service's port is published."""
        return f"http://{self.run('port', service, str(port)).strip()}"

    def execute(self, service: str, *command: str) -> str:
        """What a command prints inside a service's container."""
        return self.run("exec", "--no-TTY", service, *command)

    def up(self, *services: str) -> None:
        """Start these services and no others, or all, from images that are there; wait until they are healthy."""
        alone = ("--no-deps", *services) if services else ()
        self.run("up", "--detach", "--no-build", "--wait", "--wait-timeout", f"{LIMIT_S:.0f}", *alone)

    def usage(self) -> list[Usage]:
        """Processor and memory of every running container, now."""
        names = {row["Name"]: row["Service"] for row in _rows(self.run("ps", "--format", "json"))}
        rows = _rows(self.run("stats", "--no-stream", "--format", "json"))
        return sorted(
            (
                Usage(service=names[row["Name"]], cpu=row["CPUPerc"], memory=row["MemUsage"])
                for row in rows
                if row["Name"] in names
            ),
            key=lambda usage: usage.service,
        )


def _rows(printed: str) -> Iterator[dict[str, Any]]:
    """JSON as compose prints it: an object a line, or one list of them in older releases."""
    for line in printed.splitlines():
        found = orjson.loads(line) if line.strip() else []
        yield from [found] if isinstance(found, dict) else found
