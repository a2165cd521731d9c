"""What every document must be: links that lead somewhere, commands and targets that exist, words of the glossary."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from service.settings import ELSEWHERE, Settings
from tests.docs.guides import DOCUMENTS, ROOT, Checkout, blocks_of
from training.models.registry import model_class, names

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors_of(path: Path) -> set[str]:
    """As forges make them of headings: lower case, punctuation left out, spaces as hyphens."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(path.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(path: Path) -> list[str]:
    dead = []
    for link in LINK.findall(without_blocks(path.read_text())):
        file, _, anchor = link.partition("#")
        if "://" in file:
            continue
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            dead.append(link)
    return dead


@each_document
def test_every_link_and_anchor_leads_somewhere(path: Path) -> None:
    assert dead_links(path) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One, two\n[a](page.md#one-two) [b](#one) [c](gone.md) [d](https://example.org/x)\n")
    assert dead_links(page) == ["#one", "gone.md"]


@each_document
def test_every_make_target_exists(path: Path) -> None:
    assert set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b(?! [a-z])", _code(path))) <= TARGETS


@each_document
def test_every_command_of_ours_has_the_options_it_is_shown_with(path: Path) -> None:
    for module, rest in re.findall(r"python -m ((?:service|training|export|loadtest)[\w.]*)([^\n`|>#]*)", _code(path)):
        known = options_of(module, rest.split())
        shown = {word.split("=")[0] for word in rest.split() if word.startswith("--")}
        assert shown <= known, f"python -m {module}{rest}: known are {sorted(known)}"


def test_an_option_that_does_not_exist_is_found() -> None:
    assert "--lift" in options_of("service", ["plan"])
    assert "--lift" not in options_of("service", ["report"])
    assert "--days" in options_of("service", ["events", "prune", "--days", "3"])
    with pytest.raises(AssertionError, match="no command"):
        options_of("service", ["reprot"])


def options_of(module: str, words: list[str]) -> set[str]:
    """The options of the command that the words name."""
    is_package = (ROOT / module.replace(".", "/")).is_dir()
    loaded = importlib.import_module(f"{module}.__main__" if is_package else module)
    app = getattr(loaded, "cli", None) or getattr(loaded, "app", None)
    if app is None:
        app = typer.Typer()
        app.command()(loaded.main)
    command: Any = typer.main.get_command(app)
    for word in words:
        if not hasattr(command, "commands") or word.startswith("-"):
            break
        assert word in command.commands, f"{module} {word}: no command, known are {sorted(command.commands)}"
        command = command.commands[word]
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


def _code(path: Path) -> str:
    """What a document sets as code, blocks and spans."""
    text = path.read_text()
    spans = re.findall(r"`([^`\n]+)`", without_blocks(text))
    return "\n".join([*(block.text for block in blocks_of(text)), *spans])


def test_the_routes_that_documents_name_are_routes_of_the_service(checkout: Checkout) -> None:
    known = checkout.run_command(["curl", "-sf", f"{checkout.url}/openapi.json"], "openapi")
    for path in DOCUMENTS:
        for route in re.findall(r"`(?:GET|POST|PUT) (/[\w/.{}]*)", path.read_text()):
            assert route == "/openapi.json" or f'"{route}":' in known, f"{path.name}: {route}"


def test_every_setting_a_document_names_exists() -> None:
    """Those of training, and the one that Kubernetes would make, apart."""
    known = {f"CTR_{name.upper()}" for name in Settings.model_fields} | ELSEWHERE | {"CTR_X_SERVICE_HOST"}
    for path in DOCUMENTS:
        assert set(re.findall(r"CTR_[A-Z_]*[A-Z]", path.read_text())) <= known, path.name


def test_every_configuration_stands_in_a_document_and_the_other_way_round() -> None:
    named = {name for path in DOCUMENTS for name in re.findall(r"^\| `([\w-]+\.toml)`", path.read_text(), re.MULTILINE)}
    assert named == {path.name for path in (ROOT / "training/configs").glob("*.toml")}


def test_every_setting_and_every_option_of_a_model_is_described() -> None:
    described = {"Settings": Settings, **{name: model_class(name).Options for name in names()}}
    bare = [
        f"{owner}.{name}"
        for owner, model in described.items()
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert bare == []


def test_decisions_are_numbered_and_complete() -> None:
    records = re.split(r"^## ", (ROOT / "DECISIONS.md").read_text(), flags=re.MULTILINE)[1:]
    assert [int(record.split(".")[0]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in record, record.split("\n")[0]
