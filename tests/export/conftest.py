"""A small prepared click log."""

from collections.abc import Iterator

import pytest

from export import timing
from training.data.prepare import Prepared, prepare
from training.data.synthetic import SyntheticConfig, generate


@pytest.fixture(scope="session", autouse=True)
def short_timings() -> Iterator[None]:
    """A tenth of the usual time per form: what is asked here is how timings are used, not how exact they are."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(timing, "_SECONDS_PER_ROUND", 0.003)
        yield


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A small generated click log, encoded."""
    return prepare(generate(SyntheticConfig(rows=4_000, users=100, items=300)), tmp_path_factory.mktemp("log") / "data")
