"""Evaluate: the test split, read once per set of checkpoints, after everything has been decided on validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle import json_bytes, replace_file
from training.checkpoint import Trained
from training.data.batches import TensorRows
from training.data.prepare import Prepared, open_prepared
from training.data.synthetic import best_reachable
from training.metrics import auc, calibration, log_loss
from training.objective import predict
from training.run import PHASES, Run

Report = dict[str, Any]


def evaluate_test(run: Run) -> Report:
    """Test metrics of the run's three models, and the best reachable where a click model made the data.

    The result is kept with the digests of the checkpoints; asked again for the same ones, it is read back and the
    test split stays closed.
    """
    path = run.directory / "test.json"
    models = {phase: run.load(phase) for phase in PHASES}
    digests = {phase: trained.digest for phase, trained in models.items()}
    kept = _kept(path)
    if kept.get("checkpoints") == digests:
        path.touch()  # the run that finished last is the one `export` takes
        return kept
    report = _report(models, open_prepared(run.directory / "data")) | {"checkpoints": digests}
    replace_file(path, json_bytes(report, indent=2))
    return report


def _kept(path: Path) -> Report:
    """What was written before; nothing if it is missing or damaged, for then the test split is read again."""
    try:
        kept: Report = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return kept


def _report(models: dict[str, Trained], prepared: Prepared) -> Report:
    rows = TensorRows.of(prepared.rows("test"))
    logits = {phase: predict(trained.model, rows.ids_NF).numpy() for phase, trained in models.items()}
    clicks_N = rows.clicks_N.numpy()
    teacher_N = logits["teach"].astype(np.float64)
    scores: Report = {}
    for phase, logits_N in logits.items():
        scores[phase] = {
            "auc": auc(logits_N, clicks_N),
            "log_loss": log_loss(logits_N, clicks_N),
            "calibration": calibration(logits_N, clicks_N),
            "logit_gap": float(np.mean(np.abs(logits_N - teacher_N))),
        }
    true_N = prepared.true_probability("test")
    if true_N is not None:
        scores["best reachable"] = best_reachable(np.asarray(true_N), clicks_N)
    return {"rows": len(rows), "scores": scores}
