"""Expected calibration error, in bins of equal mass, beside what chance alone would give.

    ECE = Σ_b n_b / n · |mean p - CTR of bin b|,    15 bins of n/15 impressions each, by p

Even a perfectly calibrated arm has one: at a CTR of 3 % about 0.0155 at 1,000 impressions, 0.0049 at 10,000, 0.0015 at
100,000. So it is never held against a fixed threshold, only against its null band: clicks drawn anew from the
probabilities themselves, many times. Clicks of one unit that are alike beyond their probabilities widen the truth, not
the band.

Source: reference section 1.4; Nixon et al., "Measuring calibration in deep learning", 2019 (equal mass).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.experiment.statistics.arrays import Floats
from service.experiment.statistics.quality import labelled

BINS = 15
DRAWS = 1000
_EXACT_UP_TO = 2_000_000
"""Products of impressions and draws up to which clicks are drawn one by one; beyond, bins are large and sums normal."""


class CalibrationError(NamedTuple):
    """ECE and where it lies without any miscalibration."""

    value: float
    null_mean: float
    null_p95: float
    """95 of 100 perfectly calibrated arms show less."""
    p: float
    """Share of draws with as much or more, counting this one: against perfect calibration."""
    predicted_B: Floats
    """Mean probability of each bin, for a reliability diagram."""
    observed_B: Floats
    """CTR of each bin."""
    impressions_B: NDArray[np.int64]


def calibration_error(
    probability_I: ArrayLike, clicked_I: ArrayLike, *, bins: int = BINS, draws: int = DRAWS, seed: int = 0
) -> CalibrationError:
    """ECE over bins of equal mass, with its null band.

    Impressions of one probability share a bin, so the answer does not depend on their order; bins that end up empty
    are left out.

    Args:
        probability_I: probability of a click of each impression.
        clicked_I: whether it was clicked.
        bins: at most so many.
        draws: of the null band.
        seed: of the draws; the same data give the same band.

    Raises:
        StatisticsError: as `quality.log_loss`.
    """
    p_I, y_I = labelled(probability_I, clicked_I)
    order_I = np.argsort(p_I, kind="stable")
    p_I, y_I = p_I[order_I], y_I[order_I]
    start_B = _starts(p_I, bins)
    size_B = np.diff(start_B, append=p_I.size)
    expected_B, clicks_B = np.add.reduceat(p_I, start_B), np.add.reduceat(y_I.astype(np.float64), start_B)
    value = float(np.abs(expected_B - clicks_B).sum() / p_I.size)
    null_S = _null(p_I, start_B, expected_B, draws, np.random.default_rng(seed))
    return CalibrationError(
        value=value,
        null_mean=float(null_S.mean()),
        null_p95=float(np.quantile(null_S, 0.95)),
        p=float((1 + np.count_nonzero(null_S >= value)) / (1 + draws)),
        predicted_B=expected_B / size_B,
        observed_B=clicks_B / size_B,
        impressions_B=size_B,
    )


def _starts(sorted_I: Floats, bins: int) -> NDArray[np.int64]:
    """Where bins of equal mass start, moved back to where a run of equal probabilities starts."""
    wanted_B = np.arange(bins) * sorted_I.size // bins
    return np.unique(np.searchsorted(sorted_I, sorted_I[wanted_B], side="left"))


def _null(
    p_I: Floats, start_B: NDArray[np.int64], expected_B: Floats, draws: int, generator: np.random.Generator
) -> Floats:
    """ECE of clicks drawn from the probabilities."""
    if p_I.size * draws <= _EXACT_UP_TO:
        drawn_SI = generator.random((draws, p_I.size)) < p_I
        clicks_SB = np.add.reduceat(drawn_SI.astype(np.float64), start_B, axis=1)
    else:
        spread_B = np.sqrt(np.add.reduceat(p_I * (1 - p_I), start_B))
        clicks_SB = expected_B + spread_B * generator.standard_normal((draws, start_B.size))
    null_S: Floats = np.abs(clicks_SB - expected_B).sum(axis=1) / p_I.size
    return null_S
