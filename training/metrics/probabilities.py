"""Calibration: what the probabilities promise against the clicks that came, and how far chance carries them apart.

    calibration          Σp / Σy;  1 is perfect
    click band           where Σy lies in 95 of 100 repetitions if every p is right and clicks are independent given p:
                         quantiles of the Poisson-binomial distribution of p
    null band            Σp / click band: where calibration lies then
    calibration error    Σ_b n_b / n · |mean p - click rate of bin b|,  bins of equal mass by p

A slice of few rows may have a calibration of 0.5 by chance; without the band a report invites readers to mend what is
not broken. The band is exact where the variance of Σy is below 25. Above, a normal one with the skewness of Σy (first
term of Cornish and Fisher's expansion): with the plain normal one a band of rare clicks lies half a click too low,
whatever their number. Clicks of one user that are alike beyond their probabilities widen the truth, not the band.

Sources: Hong, "On computing the distribution function for the Poisson binomial distribution", CSDA 2013 (discrete
Fourier transform of the characteristic function); Nixon et al., "Measuring calibration in deep learning", 2019 (bins of
equal mass).
"""

from __future__ import annotations

from math import ceil, inf, pi, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from training.metrics.likelihood import sigmoid

Floats = npt.NDArray[np.floating]
Band = tuple[float, float]

CONFIDENCE = 0.95
BINS = 20
_EXACT_BELOW = 25.0
"""Variance of Σy up to which its distribution is computed exactly: a hundred frequencies then hold all of it."""
_CHUNK = 4_096


class Calibration(NamedTuple):
    """Σp / Σy of some rows, with what chance allows."""

    expected: float
    """Σp: clicks that the probabilities promise."""
    clicks: int
    click_band: Band
    """Where the clicks lie with 95 % confidence if every probability is right."""

    @property
    def ratio(self) -> float:
        """Expected over observed clicks; infinite where nothing was clicked."""
        return self.expected / self.clicks if self.clicks else inf

    @property
    def band(self) -> Band:
        """Null band of the ratio; its upper end is infinite where no click at all would be no surprise."""
        fewest, most = self.click_band
        return self.expected / most if most else 0.0, self.expected / fewest if fewest else inf

    @property
    def by_chance(self) -> bool:
        """Whether chance alone explains that the ratio is not 1."""
        return self.click_band[0] <= self.clicks <= self.click_band[1]


def calibration(logits_N: Floats, clicks_N: Floats) -> float:
    """Sum of probabilities over clicks; 1.0 is perfect. Raises ValueError if nothing was clicked."""
    clicks = float(np.sum(clicks_N))
    if clicks == 0:
        raise ValueError(f"calibration needs at least one click: got 0 of {np.size(clicks_N)} rows")
    return float(sigmoid(logits_N).sum() / clicks)


def calibration_band(logits_N: Floats, clicks_N: Floats) -> Calibration:
    """Calibration of rows, beside its null band; rows without a click are fine."""
    p_N = sigmoid(logits_N)
    return Calibration(float(p_N.sum()), int(np.sum(clicks_N)), click_band(p_N))


def click_band(p_N: npt.NDArray[np.float64], confidence: float = CONFIDENCE) -> Band:
    """Clicks that independent clicks of probabilities p [N] stay within, with at least this confidence.

    Each tail beyond the band has at most half of the rest; the ends are whole numbers, inside [0, N].
    """
    tail = (1 - confidence) / 2
    if float(p_N @ (1 - p_N)) < _EXACT_BELOW:
        first, mass_K = _distribution(p_N)
        below_K = np.cumsum(mass_K)
        fewest, most = np.searchsorted(below_K, [tail, 1 - tail])
        return float(first + fewest), float(min(first + most, p_N.size))
    low, high = _cornish_fisher(p_N, tail), _cornish_fisher(p_N, 1 - tail)
    # The continuity correction: k clicks stand for the interval [k - ½, k + ½].
    return float(max(0, ceil(low - 0.5))), float(min(p_N.size, ceil(high - 0.5)))


def _cornish_fisher(p_N: npt.NDArray[np.float64], quantile: float) -> float:
    """Quantile of Σy on a continuous scale: normal, and shifted by its skewness."""
    variance = float(p_N @ (1 - p_N))
    third = float((p_N * (1 - p_N)) @ (1 - 2 * p_N))
    z = float(ndtri(quantile))
    return float(p_N.sum()) + sqrt(variance) * z + (z * z - 1) / 6 * third / variance


def _distribution(p_N: npt.NDArray[np.float64]) -> tuple[int, npt.NDArray[np.float64]]:
    """Fewest clicks worth a mention, and the probability of so many, one more, …: all but 1e-12 of the mass.

    The inverse discrete Fourier transform of Π(1 - p + p e^{iω}) at K frequencies; K covers the mass, so that what
    wraps around is nothing.
    """
    mean, variance = float(p_N.sum()), float(p_N @ (1 - p_N))
    reach = ceil(8 * sqrt(variance) + 30)
    first = max(0, round(mean) - reach)
    size = min(p_N.size, round(mean) + reach) - first + 1
    turns_K = np.exp(2j * pi * np.arange(size) / size)
    log_K = np.zeros(size, np.complex128)
    with np.errstate(divide="ignore"):  # at ω = π a probability of exactly one half has the factor 0
        for start in range(0, p_N.size, _CHUNK):
            p_C = p_N[start : start + _CHUNK, None]
            log_K += np.log(1 - p_C + p_C * turns_K).sum(axis=0)
    mass_K = np.fft.fft(np.exp(log_K) * turns_K ** (-first)).real / size
    return first, np.clip(mass_K, 0.0, None)


class Reliability(NamedTuple):
    """Promised against observed click rate in bins of about equal mass, ascending by probability."""

    predicted_B: npt.NDArray[np.float64]
    """Mean probability of each bin."""
    observed_B: npt.NDArray[np.float64]
    """Click rate of each bin."""
    rows_B: npt.NDArray[np.int64]
    band_B2: npt.NDArray[np.float64]
    """Where the click rate lies by chance."""
    error: float
    """Expected calibration error."""
    error_by_chance: float
    """What a perfectly calibrated model has on average: it is never 0."""


def reliability(logits_N: Floats, clicks_N: Floats, bins: int = BINS) -> Reliability:
    """Bins of equal mass; rows of one probability share a bin, so there may be fewer."""
    order_N = np.argsort(logits_N, kind="stable")
    p_N, clicked_N = sigmoid(np.asarray(logits_N)[order_N]), np.asarray(clicks_N, np.float64)[order_N]
    wanted_B = np.arange(bins) * p_N.size // bins
    start_B = np.unique(np.searchsorted(p_N, p_N[wanted_B], side="left"))
    rows_B = np.diff(start_B, append=p_N.size)
    promised_B, clicks_B = np.add.reduceat(p_N, start_B), np.add.reduceat(clicked_N, start_B)
    spread_B = np.sqrt(np.add.reduceat(p_N * (1 - p_N), start_B))
    bands = [click_band(part_N) for part_N in np.split(p_N, start_B[1:])]
    return Reliability(
        predicted_B=promised_B / rows_B,
        observed_B=clicks_B / rows_B,
        rows_B=rows_B,
        band_B2=np.array(bands) / rows_B[:, None],
        error=float(np.abs(promised_B - clicks_B).sum() / p_N.size),
        error_by_chance=float(spread_B.sum() * sqrt(2 / pi) / p_N.size),
    )
