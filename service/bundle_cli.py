"""`python -m service bundle`: the versions of a bundle, and which of them is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from service.bundle import (
    BundleError,
    checked_version,
    current_version,
    make_current,
    previous_version,
    read_bundle,
    versions,
)

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Root = Annotated[Path, typer.Argument(help="Folder of one bundle with its versions, e.g. bundles/student.")]


@cli.callback()
def bundle() -> None:
    """Versions of a bundle; running services follow what is made current here."""


@cli.command("list")
def list_versions(root: Root) -> None:
    """Every version: when it was exported, what it is, how good it was, and which is served."""
    try:
        marks = _marks(root)
    except BundleError as error:
        _stop(str(error))
    if not versions(root):
        _stop(f"{root}: no version found; run `make train` or give a bundle's folder")
    table = Table("version", "", "exported", "model", "test AUC", "log loss", title=str(root))
    for version in versions(root):
        table.add_row(version, marks.get(version, ""), *_described(root / version))
    Console().print(table)


@cli.command()
def use(root: Root, version: Annotated[str, typer.Argument(help="One of `bundle list`.")]) -> None:
    """Serve a version: it is read and checked whole, then made current."""
    _switch(root, version)


@cli.command()
def rollback(root: Root) -> None:
    """Serve the version that was current before this one."""
    _switch(root, None)


def _switch(root: Path, version: str | None) -> None:
    try:
        wanted = previous_version(root) if version is None else checked_version(root, version)
        read_bundle(root / wanted)
        before = make_current(root, wanted)
    except BundleError as error:
        _stop(str(error))
    typer.echo(f"{root}: {wanted} is current, it was {before}; services that follow it answer with it in a moment")


def _marks(root: Path) -> dict[str, str]:
    """Version → what it is at the moment."""
    marks: dict[str, str] = {}
    current = current_version(root)
    if current is None:
        return marks
    marks[current] = "current"
    try:
        marks[previous_version(root)] = "previous"
    except BundleError:
        return marks
    return marks


def _described(directory: Path) -> tuple[str, str, str, str]:
    """Columns of one version, read leniently: a damaged one is listed too."""
    try:
        manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text())
        metrics = manifest["metrics"]
        exported = str(manifest["lineage"].get("exported_at", ""))[:19]
        return exported, str(manifest["architecture"]), _figure(metrics, "test_auc"), _figure(metrics, "test_log_loss")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return "", f"unreadable: {type(error).__name__}", "", ""


def _figure(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.4f}" if name in metrics else ""


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)
