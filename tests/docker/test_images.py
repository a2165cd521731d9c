"""The Dockerfiles as they stand: clean, pinned, unprivileged, with all code that runs in them and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SERVICE, TRAINING = ROOT / "docker/service.Dockerfile", ROOT / "docker/training.Dockerfile"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LIST = ROOT / "docker/requirements.py"
HEAVY = {"torch", "polars", "onnx", "onnxscript", "matplotlib", "pandas", "safetensors"}
both = pytest.mark.parametrize("dockerfile", [SERVICE, TRAINING], ids=["service", "training"])


def wanted(*extras: str) -> set[str]:
    """Canonical names of what docker/requirements.py prints."""
    command = [sys.executable, "-S", LIST, ROOT / "pyproject.toml", *extras]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {canonicalize_name(Requirement(line).name) for line in printed.splitlines()}


def installed_with(names: set[str]) -> set[str]:
    """These and all that they need, by what is installed here."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        needs = (Requirement(line) for line in requires(name) or ())
        needed = {canonicalize_name(one.name) for one in needs if not one.marker or one.marker.evaluate({"extra": ""})}
        waiting |= needed - found
    return found


def extras_in(dockerfile: Path, target: str) -> list[str]:
    """Extras that a Dockerfile puts on one of its lists."""
    [found] = re.findall(rf"requirements\.py pyproject\.toml (.*?) > {target}\.txt", dockerfile.read_text())
    return str(found).split()


@both
def test_the_linter_finds_nothing(dockerfile: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run([hadolint, dockerfile], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


@both
def test_it_starts_from_one_release_of_a_slim_python_and_needs_no_other_front_end(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    assert {image for image in images if image not in stages} == {"python:3.11.14-slim-bookworm"}
    assert "# syntax" not in text
    assert re.search(r'^ARG EXTRA_INDEX_URL=""$', text, re.MULTILINE)


@both
def test_what_runs_is_nobody_and_no_shell(dockerfile: Path) -> None:
    for stage in re.split(r"^FROM ", dockerfile.read_text(), flags=re.MULTILINE):
        if "ENTRYPOINT" in stage:
            assert "USER 10001:10001\n" in stage
            assert re.search(r'^ENTRYPOINT \["', stage, re.MULTILINE)
            assert "apt-get" not in stage


@pytest.mark.parametrize("target", ["service", "load"])
def test_serving_and_loading_need_nothing_heavy(target: str) -> None:
    found = installed_with(wanted(*extras_in(SERVICE, target)))
    assert {"aiohttp", "numpy", "onnxruntime"} <= found
    assert not found & HEAVY


def test_the_lists_are_those_of_pyproject() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    base = {canonicalize_name(Requirement(line).name) for line in PYPROJECT["project"]["dependencies"]}
    assert wanted() == base
    assert wanted("postgres") == base | {"psycopg"}
    assert wanted("export") == base | {canonicalize_name(Requirement(line).name) for line in extras["train"]} | {
        "onnx",
        "onnxscript",
    }
    assert wanted("--build") == {"setuptools"}


def test_an_extra_that_is_none_ends_the_build() -> None:
    command = [sys.executable, LIST, ROOT / "pyproject.toml", "postgers"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "postgers" in ended.stderr


def test_every_package_is_in_an_image_and_reaches_the_build() -> None:
    packages = {name.removesuffix("*") for name in PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    copied = {
        name
        for dockerfile in (SERVICE, TRAINING)
        for name in re.findall(r"^COPY (\w+) \1$", dockerfile.read_text(), re.MULTILINE)
    }
    assert copied == packages
    assert packages <= sent()


def test_what_is_copied_is_there_and_is_sent() -> None:
    for dockerfile in (SERVICE, TRAINING):
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile.read_text(), re.MULTILINE):
            for source in sources.split():
                assert (ROOT / source).exists()
                assert source in sent()


def test_nothing_is_sent_to_the_build_that_is_not_named() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in lines if not line.startswith("#")) == "*"
    assert not sent() & {"bundles", "runs", "data", "build", ".git", ".venv", "tests", "docker"}
    assert {"**/__pycache__", "**/*.so", "**/.*"} <= set(lines)


def sent() -> set[str]:
    """What .dockerignore lets through."""
    return {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}


def test_the_image_says_which_release_it_is() -> None:
    label = f'org.opencontainers.image.version="{PYPROJECT["project"]["version"]}"'
    assert label in SERVICE.read_text()
    compose = (ROOT / "docker/compose.yaml").read_text()
    assert set(re.findall(r"kd-dagfm-serving/\w+:(\S+)", compose)) == {PYPROJECT["project"]["version"]}
