"""A small prepared click log."""

from pathlib import Path

import pytest

from training.data.prepare import Prepared, prepare
from training.data.synthetic import SyntheticConfig, generate


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """A small generated click log, encoded."""
    return prepare(generate(SyntheticConfig(rows=4_000, users=100, items=300)), tmp_path / "data")
