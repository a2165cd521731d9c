"""What several seeds say: mean, spread, and whether one row is really better than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; one seed has no spread."""

    mean: float
    deviation: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(mean=float(np.mean(values)), deviation=deviation, seeds=len(values))


@dataclass(frozen=True)
class Comparison:
    """The mean difference of two rows over the same seeds, and its two-tailed paired t-test (ECKD, section 4.1.2)."""

    difference: float
    p: float | None
    """None with fewer than two seeds, or where every seed gives the very same difference."""


def compare(ours: Sequence[float], others: Sequence[float]) -> Comparison:
    """`ours` less `others`, seed by seed."""
    differences = np.asarray(ours) - np.asarray(others)
    mean = float(differences.mean())
    if len(differences) < 2 or np.ptp(differences) == 0:  # noqa: PLR2004 - a spread needs two
        return Comparison(difference=mean, p=None)
    return Comparison(difference=mean, p=float(stats.ttest_rel(ours, others).pvalue))
