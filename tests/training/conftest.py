"""A small prepared click log and the run options that train on it in a second."""

from pathlib import Path
from typing import Any

import pytest

from training.config import Config, from_dict
from training.data.prepare import Prepared
from training.run import Run

FIT = {"learning_rate": 3e-3, "weight_decay": 1e-6, "batch_size": 256, "max_epochs": 3, "patience": 3}


def tiny_config(name: str = "tiny", **changes: dict[str, Any]) -> Config:
    """The whole path on 4,000 generated rows; `changes` replace keys of a section."""
    sections: dict[str, dict[str, Any]] = {
        "run": {"name": name, "seed": 1},
        "data": {"set": "synthetic", "rows": 4_000, "users": 100, "items": 50},
        "teacher": {"model": "crossnet", "embedding_size": 4, "layers": 2},
        "student": {"model": "dagfm_outer", "embedding_size": 4, "layers": 2},
        "teach": FIT,
        "distill": {**FIT, "click_weight": 0.1, "logit_weight": 921.6},
        "finetune": FIT,
    }
    return from_dict({key: {**section, **changes.get(key, {})} for key, section in sections.items()}, "tests")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A fresh run with prepared data."""
    run = Run.open(tmp_path, tiny_config())
    run.prepare(None)
    return run


@pytest.fixture
def prepared(run: Run) -> Prepared:
    """The data of `run`."""
    return run.prepare(None)
