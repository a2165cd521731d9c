"""Where a study keeps what it has trained: one folder per training, named by its key.

trainings/KEY/recipe.json          what it is, readable
trainings/KEY/model.safetensors    the finished model, and the other files of a phase
trainings/KEY/outcome.json         validation metrics, epochs, seconds: written last
trainings/KEY/test.json            test metrics, once somebody asked for a report
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.bundle import json_bytes, replace_file
from training.checkpoint import Trained, load_model
from training.data.prepare import Prepared
from training.study.recipe import Training


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is known of a finished training without opening its model."""

    checkpoint: str
    """Digest of the model's file."""
    seconds: float
    """Of the training itself, one thread."""
    epochs: int
    best_epoch: int
    validation: dict[str, float]


@dataclass(frozen=True)
class Store:
    """The trainings of one study on one prepared data set."""

    directory: Path
    prepared: Prepared

    def key(self, training: Training) -> str:
        """The training's name in this store."""
        return training.key(self.prepared.digest)

    def folder(self, training: Training) -> Path:
        """Where the training stands or will stand."""
        return self.directory / "trainings" / self.key(training)

    def outcome(self, training: Training) -> Outcome | None:
        """What a finished training gave; None if it is not finished."""
        kept = _read(self.folder(training) / "outcome.json")
        return None if kept is None else Outcome(**kept)

    def finish(self, training: Training, outcome: Outcome) -> None:
        """Write what a training gave: from now on it is finished."""
        folder = self.folder(training)
        replace_file(folder / "recipe.json", json_bytes({"seed": training.seed, **training.recipe.plain()}, indent=2))
        replace_file(folder / "outcome.json", json_bytes(asdict(outcome), indent=2))

    def model(self, training: Training) -> Trained:
        """The finished model; raises CheckpointError if it is not there."""
        return load_model(self.folder(training) / "model.safetensors", self.prepared)

    def epochs(self, training: Training) -> list[dict[str, float]]:
        """Metrics of every epoch."""
        lines = (self.folder(training) / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def _read(path: Path) -> dict[str, Any] | None:
    """A small JSON file; None if it is missing or damaged, for then it is made again."""
    try:
        kept: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return kept
