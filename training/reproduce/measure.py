"""Test figures of rows: the test part is opened here, for models that are finished, and nothing is decided by it.

What was measured is kept under the digests of the models that gave it, so that another report reads it back.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.bundle import json_bytes, replace_file
from training.data.batches import TensorRows
from training.metrics import auc, log_loss
from training.objective import predict
from training.reproduce.rows import Row
from training.study.recipe import Training
from training.study.store import Store

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one row gave for one seed on the test rows, and what its training took."""

    auc: float
    log_loss: float
    validation_auc: float | None
    """None for an ensemble."""
    seconds: float
    epochs: float


@dataclass(frozen=True)
class Measure:
    """Reads figures back, or opens the test rows for them."""

    store: Store

    @cached_property
    def _rows(self) -> TensorRows:
        return TensorRows.of(self.store.prepared.rows("test"))

    def figures(self, row: Row, seed: int) -> Figures | None:
        """A row's figures for a seed; None as long as a member is not trained."""
        trainings = row.trainings(seed)
        outcomes = [outcome for training in trainings if (outcome := self.store.outcome(training)) is not None]
        if len(outcomes) < len(trainings):
            return None
        measured = self._measured(trainings, [outcome.checkpoint for outcome in outcomes])
        alone = outcomes[0].validation.get("validation_auc") if len(outcomes) == 1 else None
        return Figures(
            auc=measured["auc"],
            log_loss=measured["log_loss"],
            validation_auc=alone,
            seconds=sum(outcome.seconds for outcome in outcomes),
            epochs=float(np.mean([outcome.epochs for outcome in outcomes])),
        )

    def _measured(self, trainings: tuple[Training, ...], checkpoints: list[str]) -> dict[str, float]:
        path = (
            self.store.directory
            / "measured"
            / f"{hashlib.sha256(' '.join(checkpoints).encode()).hexdigest()[:16]}.json"
        )
        if path.exists():
            kept = json.loads(path.read_bytes())
            if kept["checkpoints"] == checkpoints:
                return dict(kept["test"])
        logits_N = np.mean([self._logits(training) for training in trainings], axis=0)
        clicks_N = self._rows.clicks_N.numpy()
        test = {"auc": auc(logits_N, clicks_N), "log_loss": log_loss(logits_N, clicks_N)}
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json_bytes({"checkpoints": checkpoints, "test": test}, indent=2))
        return test

    def _logits(self, training: Training) -> Logits:
        logits_N: Logits = predict(self.store.model(training).model, self._rows.ids_NF).numpy()
        return logits_N


def folder_of(root: Path, name: str) -> Path:
    """Where a study stands under the runs' folder."""
    return root / f"study-{name}"
