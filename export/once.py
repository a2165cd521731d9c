"""`python -m export.once`: bundles where there are none, else nothing; what a one-shot container runs at every start.

Whoever is stopped in between leaves nothing that could be served: a run continues where it was left, and of the two
bundles, each written whole or not at all, the student's comes last (see `export.__main__`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from service.bundle import BundleError, current_version
from training.progress import console

ARMS = ("teacher", "student")
STOPPED = 128 + signal.SIGTERM


def main(
    bundles: Annotated[Path, typer.Option(envvar="CTR_BUNDLES", help="Where bundles are kept.")] = Path("bundles"),
    runs: Annotated[Path, typer.Option(envvar="CTR_RUNS", help="Where run directories are kept.")] = Path("runs"),
    data: Annotated[
        Path | None, typer.Option(envvar="CTR_DATA", help="MovieLens-1M, zip or folder; an empty folder is none.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="What to train where there are no data [synthetic.toml].")] = None,
) -> None:
    """Train and export, unless both bundles are there."""
    # The first process of a container ignores what it has no handler for. At once, and not by an exception: one that
    # is raised inside a callback of a library is lost, and what is half-written is never looked at.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: os._exit(STOPPED))
    try:
        missing = without_bundle(bundles, ARMS)
    except BundleError as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from error
    if not missing:
        console.print(f"{bundles}: every bundle is there, nothing to do", highlight=False)
        return
    console.print(f"{bundles}: no bundle of {', '.join(missing)}", highlight=False)
    _make(bundles, runs, data if data is not None and holds_anything(data) else None, config)


def _make(bundles: Path, runs: Path, data: Path | None, config: Path | None) -> None:
    # Imports torch, which takes seconds: nothing that is not needed is waited for.
    from export.__main__ import export  # noqa: PLC0415
    from training.__main__ import CONFIGS  # noqa: PLC0415
    from training.__main__ import run as train  # noqa: PLC0415
    from training.config import load  # noqa: PLC0415

    chosen = CONFIGS / "movielens.toml" if data else config or CONFIGS / "synthetic.toml"
    train(config=chosen, data=data, runs=runs)
    export(run=runs / load(chosen).run.name, runs=runs, bundles=bundles, embedding="float32")


def without_bundle(bundles: Path, arms: Iterable[str]) -> list[str]:
    """The arms that have no version in force under `bundles`; raises BundleError if one cannot be told."""
    return [arm for arm in arms if current_version(bundles / arm) is None]


def holds_anything(data: Path) -> bool:
    """Whether `data` is a file or a folder that is not empty; a volume nobody filled is an empty one."""
    return data.is_file() or (data.is_dir() and any(data.iterdir()))


if __name__ == "__main__":
    typer.run(main)
