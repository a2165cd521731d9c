"""`python -m service fetch`: a bundle from an object store, e.g. in a pod before its service starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from service.fetch import FetchError, fetch
from service.fetch import Progress as Told


def add_fetch_command(cli: typer.Typer) -> None:
    """Add `fetch`."""
    cli.command(name="fetch")(fetch_bundle)


def fetch_bundle(
    url: Annotated[str, typer.Argument(help="Where CURRENT and the versions are: s3://, gs://, https://, file:// …")],
    directory: Annotated[Path, typer.Argument(help="Where to, e.g. bundles/student; made if it does not exist.")],
    version: Annotated[str | None, typer.Option(help="The version to take instead of the one CURRENT names.")] = None,
) -> None:
    """Fetch a bundle and make it the one served: proved whole first, and not downloaded if it is there."""
    try:
        with _progress() as told:
            found = fetch(url, directory, version, told)
    except FetchError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    how = "fetched" if found.downloaded else "was there already"
    typer.echo(f"{found.manifest.model} {how}, proved, and current in {directory}")


@contextmanager
def _progress() -> Iterator[Told]:
    """One bar per file while it arrives; nothing where standard error is no terminal."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def tell(name: str, so_far: int, size: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name)
            bars.update(tasks[name], completed=so_far, total=size or None)

        yield tell
