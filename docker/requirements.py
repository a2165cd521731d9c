# ruff: noqa: INP001 - a script, no package
"""What pip is to install before any code is copied, read from pyproject.toml: a change of code reinstalls nothing.

    python docker/requirements.py pyproject.toml postgres otel      dependencies, and those of the named extras
    python docker/requirements.py pyproject.toml --build            what a wheel is built with

pip itself installs dependencies only together with their project, whose code would then have to be there. Runs on a
bare CPython of the image, before anything is installed.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

BUILD = "--build"


def requirements(pyproject: Path, wanted: Sequence[str]) -> list[str]:
    """One requirement per entry: of the build, or of the project and its extras.

    Raises:
        KeyError: an extra that pyproject.toml does not have.
    """
    content = tomllib.loads(pyproject.read_text())
    if wanted == [BUILD]:
        return list(content["build-system"]["requires"])
    project = content["project"]
    found = list(project["dependencies"])
    for extra in wanted:
        found += _of_extra(project, extra)
    return found


def _of_extra(project: dict[str, dict[str, list[str]]], extra: str) -> list[str]:
    """Of an extra, and of the extras it names as `project[other]` itself."""
    own = f"{project['name']}["
    found: list[str] = []
    for requirement in project["optional-dependencies"][extra]:
        if requirement.startswith(own):
            for other in requirement.removeprefix(own).rstrip("]").split(","):
                found += _of_extra(project, other)
        else:
            found.append(requirement)
    return found


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]), sys.argv[2:])))  # noqa: T201 - its output is the point
