"""A small prepared click log and the run options that train on it in a second."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from training.config import Config, from_dict
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.models.base import CTRModel
from training.models.registry import build, example_options
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


_SIZES = (12, 9, 7, 5)


def _few_rows(rows: int, seed: int) -> TensorRows:
    generator = torch.Generator().manual_seed(seed)
    ids_NF = torch.stack([torch.randint(size, (rows,), generator=generator) for size in _SIZES], dim=1).int()
    chance_N = ((ids_NF[:, 0] * ids_NF[:, 3]) % 5 / 5.0).clamp(0.1, 0.9)
    return TensorRows(ids_NF, torch.bernoulli(chance_N, generator=generator))


def _small_model(name: str, seed: int, **options: Any) -> CTRModel:
    torch.manual_seed(seed)
    return build(name, {**example_options(name), **options}, _SIZES)


@pytest.fixture
def few_rows() -> Callable[[int, int], TensorRows]:
    """(rows, seed) → random rows of four fields, two of them the context's, with clicks that can be learned."""
    return _few_rows


@pytest.fixture
def small_model() -> Callable[..., CTRModel]:
    """(name, seed, **options) → a fresh small model for `few_rows`."""
    return _small_model
