"""What a container does with bad input: it ends at once with one line, or stays unready and says why."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import orjson

from loadtest.proof.checks import Check
from loadtest.proof.compose.project import Project

EMPTY = "/tmp/empty"  # noqa: S108 - in a container's own memory
_UNREADY = (
    f"EMPTY = {EMPTY!r}"
    """
import http.client, os, signal, subprocess, sys, time
os.makedirs(EMPTY, exist_ok=True)
serve = [sys.executable, '-m', 'service', 'serve', '--port', '8901', '--student-bundle', EMPTY]
child = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
for _ in range(300):
    time.sleep(0.1)
    try:
        asked = http.client.HTTPConnection('127.0.0.1', 8901, timeout=2)
        asked.request('GET', '/readyz')
        answer = asked.getresponse()
    except OSError:
        continue
    print(answer.status, answer.read().decode())
    break
child.send_signal(signal.SIGTERM)
print('exit', child.wait(10))
"""
)
"""A service whose bundle cannot be read, what it says of itself, and how it ends."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A container that must not start."""

    what: str
    variables: Mapping[str, str]
    names: str
    """What the line must name."""


CASES = (
    Case(what="no bundle", variables={"CTR_STUDENT_BUNDLE": "/bundles/nowhere"}, names="/bundles/nowhere"),
    Case(what="a port that is none", variables={"CTR_PORT": "eighty"}, names="CTR_PORT"),
    Case(what="a setting there is not", variables={"CTR_WORKER": "2"}, names="CTR_WORKERS"),
)


def refused(project: Project) -> list[Check]:
    """Every kind of bad input in a container of its own."""
    checks = [_ends(case.what, case.names, _started(project, case)) for case in CASES]
    inside = project.attempt("exec", "--no-TTY", "student", "python", "-m", "service", "serve")
    checks.append(_ends("a port in use", "8000", inside))
    said = " ".join(project.execute("teacher", "python", "-c", _UNREADY).split())
    unready = said.startswith("503") and EMPTY in said and said.endswith("exit 0")
    found = f"{said[:60]} … {said[-60:]}"
    return [
        *checks,
        Check(what="a bundle that is empty: alive, unready", target="503 and why", found=found, met=unready),
    ]


def _started(project: Project, case: Case) -> subprocess.CompletedProcess[str]:
    options = [option for name, value in case.variables.items() for option in ("--env", f"{name}={value}")]
    return project.attempt("run", "--rm", "--no-deps", "--no-TTY", *options, "student")


def _ends(what: str, names: str, ended: subprocess.CompletedProcess[str]) -> Check:
    """Whether it ended with an error and one line that names what is wrong."""
    said = errors(ended.stderr)
    well = ended.returncode != 0 and len(said) == 1 and names in said[0]
    found = f"{ended.returncode}: {said[0] if said else ended.stderr[-200:]}"
    return Check(what=f"{what}: ends with one line", target=f"not 0, names {names}", found=found[:200], met=well)


def errors(printed: str) -> list[str]:
    """The lines that are errors of the service, as text or as JSON; compose's own are none."""
    found = []
    for line in printed.splitlines():
        if line.startswith("error: "):
            found.append(line)
        with suppress(orjson.JSONDecodeError):
            record = orjson.loads(line)
            if isinstance(record, dict) and record.get("level") in {"error", "critical"}:
                found.append(str(record["event"]))
    return found
