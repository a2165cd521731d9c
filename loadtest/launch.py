"""Starts a server for a measurement: on a core of its own if wanted, its last words kept, its CPU time known."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.wrk import LoadError

TICK = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).parents[1]
_STOP_SECONDS = 10
_LAST_WORDS = 500


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server that runs."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Processor time its threads have taken."""
        return cpu_s(self.pid)


def cpu_s(pid: int) -> float:
    """User and system CPU seconds of a process so far, in ticks of usually 10 ms; 0 where there is no /proc entry."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICK


def without_settings() -> dict[str, str]:
    """This process's environment but for the service's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}


@contextmanager
def launched(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    name: str = "service",
    core: int | None = None,
    log: Path | None = None,
) -> Iterator[Endpoint]:
    """A Python process, while it runs, whose first line says `serving ... on http://127.0.0.1:PORT`.

    Args:
        arguments: of the interpreter.
        environment: all of it.
        name: what errors call it.
        core: the only one it may use; any without.
        log: file for its standard error; this process's own without.

    Raises:
        LoadError: it does not start; with what it said.
    """
    pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
    command = [*pinned, sys.executable, *arguments]
    with ExitStack() as stack:
        stderr = None if log is None else stack.enter_context(log.open("wb"))
        process = stack.enter_context(
            subprocess.Popen(
                command, cwd=_ROOT, env=dict(environment), stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        )
        try:
            yield Endpoint(port=_port(process, name, log), pid=process.pid)
        finally:
            _stop(process)


def _port(process: subprocess.Popen[str], name: str, log: Path | None) -> int:
    """The port in the first line that the server prints."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    line = process.stdout.readline()
    found = re.match(r"serving .* on http://127\.0\.0\.1:(\d+)", line)
    if found is None:
        why = f"see above; `{' '.join(map(str, process.args))}`" if log is None else _last_words(log)  # type: ignore[arg-type]
        raise LoadError(f"{name} said {line.strip() or 'nothing'!r}, expected where it serves: {why}")
    return int(found[1])


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-_LAST_WORDS:]


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
