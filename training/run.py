"""A run directory: one resolved configuration and everything made from it.

config.toml          the resolved configuration
data/                what prepare wrote
teach/ distill/ finetune/     last.safetensors (to resume), model.safetensors, metrics.jsonl, curves.png
test.json            the test split, read once for these checkpoints
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.bundle import replace_file
from training.checkpoint import CheckpointError, Trained, load_model, save_model
from training.config import Config, ConfigError, FitOptions, load
from training.data.batches import TensorRows
from training.data.datasets import DATA_SETS
from training.data.prepare import Prepared, open_prepared, prepare
from training.loop import Objective, fit, predict
from training.models.base import CTRModel
from training.plots import plot_curves
from training.progress import console, phase_progress, working

PHASES = ("teach", "distill", "finetune")


@dataclass(frozen=True)
class Run:
    """One run on disk."""

    directory: Path
    config: Config

    @classmethod
    def open(cls, root: Path, config: Config) -> Run:
        """The run of this configuration under `root`, made or continued; another run is never written over."""
        directory = root / config.run.name
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "config.toml"
        if path.exists() and load(path) != config:
            raise ConfigError(
                f"{path}: this directory belongs to a run with another configuration; give the new one its own "
                "[run] name, or remove the directory"
            )
        if not path.exists():
            replace_file(path, config.to_toml().encode())
        return cls(directory, config)

    @classmethod
    def existing(cls, directory: Path) -> Run:
        """A run made before; raises ConfigError if there is none."""
        path = directory / "config.toml"
        if not path.exists():
            raise ConfigError(f"{path}: not found; expected a run directory made by `python -m training run`")
        return cls(directory, load(path))

    def prepare(self, source: Path | None) -> Prepared:
        """Encode the run's data set once; later calls open what is there."""
        folder = self.directory / "data"
        if (folder / "prepared.json").exists():
            prepared = open_prepared(folder)
            if source is not None:
                console.print(f"data prepared before, not read again; to read {source} anew, remove {folder}")
            return prepared
        data_set = DATA_SETS[self.config.data.name]
        with working(f"prepare {self.config.data.name}: read"):
            log = data_set.read(self.config.data.options, source)
        with working(f"prepare {self.config.data.name}: encode {len(log.clicks_N):,} rows"):
            return prepare(log, folder)

    def checkpoint(self, phase: str) -> Path:
        """Where a phase's finished model stands."""
        return self.directory / phase / "model.safetensors"

    def load(self, phase: str) -> Trained:
        """A phase's finished model; raises CheckpointError."""
        return load_model(self.checkpoint(phase), open_prepared(self.directory / "data"))


Start = Callable[[Prepared, TensorRows, TensorRows], tuple[CTRModel, Objective]]
"""(data, training rows, validation rows) → model to train and what for."""


def train_phase(
    run: Run,
    phase: str,
    options: FitOptions,
    start: Start,
    lineage: dict[str, Any],
) -> Trained:
    """Run one phase to its end, or load it if it ended before.

    Args:
        run: the run; its data are prepared.
        phase: names the folder.
        options: how to fit.
        start: makes the model and its objective, once the rows are read.
        lineage: what the phase started from, kept in the checkpoint.
    """
    if run.checkpoint(phase).exists():
        console.print(f"{phase:>8} done before: {run.checkpoint(phase)}", highlight=False)
        return _of_lineage(run.load(phase), lineage, run.directory / phase)
    prepared = open_prepared(run.directory / "data")
    train, validation = TensorRows.of(prepared.rows("train")), TensorRows.of(prepared.rows("validation"))
    model, objective = start(prepared, train, validation)
    folder = run.directory / phase
    folder.mkdir(exist_ok=True)
    with phase_progress(phase) as progress:
        seed = run.config.run.seed
        history = fit(
            model,
            train,
            validation,
            objective,
            options,
            directory=folder,
            seed=seed,
            progress=progress,
            identity={**lineage, "data": prepared.digest},
        )
    model.fill_untrained(train.ids_NF)
    scores = {
        f"validation_{name}": value for name, value in objective.metrics(predict(model, validation.ids_NF)).items()
    }
    title = f"{run.config.run.name}: {phase}"
    plot_curves(history.epochs, folder / "curves.png", best_epoch=history.best_epoch, title=title)
    meta = {"phase": phase, "config": run.config.to_dict(), "best_epoch": history.best_epoch, **lineage, **scores}
    save_model(run.checkpoint(phase), model, prepared, meta)  # last: its presence says that the phase is done
    return run.load(phase)


def _of_lineage(trained: Trained, lineage: dict[str, Any], folder: Path) -> Trained:
    """The model if it started from these very checkpoints; raises CheckpointError naming both digests."""
    for key, digest in lineage.items():
        if trained.meta[key] != digest:
            raise CheckpointError(
                f"{folder}: was made from {key} {trained.meta[key]}, the run now holds {digest}; "
                f"remove {folder} to make it again"
            )
    return trained
