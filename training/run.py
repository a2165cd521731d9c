"""A run directory: one resolved configuration and everything made from it.

config.toml          the resolved configuration
data/                what prepare wrote
teach/ distill/ finetune/     last.safetensors (to resume), model.safetensors, metrics.jsonl, curves.png
test.json            the test split, read once for these checkpoints
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.bundle import replace_file
from training.checkpoint import Trained, load_model
from training.config import Config, ConfigError, Data, FitOptions, load
from training.data.batches import TensorRows
from training.data.datasets import DATA_SETS
from training.data.prepare import Prepared, open_prepared, prepare
from training.phase import Lesson, Phase, train
from training.progress import console, working

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
        return prepare_once(self.directory / "data", self.config.data, source)

    def checkpoint(self, phase: str) -> Path:
        """Where a phase's finished model stands."""
        return self.directory / phase / "model.safetensors"

    def load(self, phase: str) -> Trained:
        """A phase's finished model; raises CheckpointError."""
        return load_model(self.checkpoint(phase), open_prepared(self.directory / "data"))


def prepare_once(folder: Path, data: Data, source: Path | None) -> Prepared:
    """Encode a data set into `folder`, or open what is there."""
    if (folder / "prepared.json").exists():
        prepared = open_prepared(folder)
        if source is not None:
            console.print(f"data prepared before, not read again; to read {source} anew, remove {folder}")
        return prepared
    with working(f"prepare {data.name}: read"):
        log = DATA_SETS[data.name].read(data.options, source)
    with working(f"prepare {data.name}: encode {len(log.clicks_N):,} rows"):
        return prepare(log, folder)


Begin = Callable[[Prepared], Lesson]
"""The run's data → what a phase trains."""


def train_phase(run: Run, name: str, options: FitOptions, begin: Begin, lineage: Mapping[str, str]) -> Trained:
    """Run one phase of a run to its end, or load it if it ended before.

    Args:
        run: the run; its data are prepared.
        name: names the phase and its folder.
        options: how to fit.
        begin: makes the model and its objective, once the rows are read.
        lineage: what the phase started from, kept in the checkpoint.
    """
    prepared = open_prepared(run.directory / "data")
    phase = Phase(
        name=name,
        folder=run.directory / name,
        options=options,
        seed=run.config.run.seed,
        lineage=lineage,
        meta={"config": run.config.to_dict()},
        title=f"{run.config.run.name}: {name}",
    )
    return train(phase, prepared, lambda: begin(prepared))


def rows_of(prepared: Prepared) -> tuple[TensorRows, TensorRows]:
    """Training and validation rows, read into memory."""
    return TensorRows.of(prepared.rows("train")), TensorRows.of(prepared.rows("validation"))
