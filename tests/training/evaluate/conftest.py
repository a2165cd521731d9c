"""One finished run for all tests of the evaluation; each gets a copy of its folder."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import tiny_config
from training.distill import distill
from training.finetune import finetune
from training.run import Run
from training.teach import teach


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """teach, distill and finetune on 8,000 generated rows, one epoch each."""
    short: dict[str, Any] = {"max_epochs": 1, "patience": 1}
    config = tiny_config("sliced", data={"rows": 8_000}, teach=short, distill=short, finetune=short)
    run = Run.open(tmp_path_factory.mktemp("runs"), config)
    run.prepare(None)
    finetune(run, distill(run, teach(run)))
    return run


@pytest.fixture
def finished(trained: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to be spoilt at will."""
    shutil.copytree(trained.directory, tmp_path / "sliced")
    return Run(tmp_path / "sliced", trained.config)
