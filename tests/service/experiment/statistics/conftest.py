from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Arm = tuple[Ints, Ints]


def clustered(generator: np.random.Generator, units: int, ctr: float = 0.05) -> Arm:
    """Clicks and impressions of units whose CTR differs: beta-distributed, intraclass correlation 0.09."""
    spread = 1 / 0.09 - 1
    impressions_U = generator.poisson(10, units)
    clicks_U = generator.binomial(impressions_U, generator.beta(ctr * spread, (1 - ctr) * spread, units))
    return clicks_U, impressions_U


@pytest.fixture
def arms() -> tuple[Arm, Arm]:
    """Treatment and control, of different sizes and CTRs."""
    generator = np.random.default_rng(7)
    return clustered(generator, 3000, 0.06), clustered(generator, 2500)


@pytest.fixture
def tea() -> Callable[..., Any]:
    """What tea-tasting says of one metric: columns of the treatment and of the control."""

    def analyze(metric: Any, treatment: Mapping[str, Any], control: Mapping[str, Any]) -> Any:
        columns = {name: np.concatenate([control[name], treatment[name]]) for name in control}
        variant = np.repeat([0, 1], [len(next(iter(control.values()))), len(next(iter(treatment.values())))])
        table = pa.table({"variant": variant, **columns})
        return tea_tasting.Experiment(metric=metric).analyze(table)["metric"]

    return analyze
