"""How good an arm's probabilities are, on the impressions it made itself.

    log loss     mean of -y ln p - (1 - y) ln(1 - p)
    NE           log loss / H(CTR),  H(c) = -c ln c - (1 - c) ln(1 - c)
    calibration  Σp / Σy:  above 1 the arm promises too much

NE compares with always saying the CTR of these very impressions: arms are comparable as far as their impressions are.
Each arm chose its own, so a difference between arms is of arm and choice together.

Source: reference section 1.4; He et al., "Practical lessons from predicting clicks on ads at Facebook", ADKDD 2014.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, xlogy

from service.experiment.statistics.arrays import Floats, numbers, same_length
from service.experiment.statistics.effect import Interval, student_quantile
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.ratio import RatioSums, ratio

LEAST = 1e-7
"""A probability nearer to 0 or 1 than this is taken as this near: float32 saturates, and ln 0 is infinite."""


def losses(probability_I: ArrayLike, clicked_I: ArrayLike) -> Floats:
    """Log loss of each impression; feed it to `RatioSums.of_rows` for a guardrail clustered by unit."""
    p_I, y_I = labelled(probability_I, clicked_I)
    p_I = np.clip(p_I, LEAST, 1 - LEAST)
    return -np.log(np.where(y_I, p_I, 1 - p_I))


def log_loss(probability_I: ArrayLike, clicked_I: ArrayLike) -> float:
    """Mean log loss, in nats.

    Args:
        probability_I: probability of a click of each impression, 0 to 1.
        clicked_I: whether it was clicked.

    Raises:
        StatisticsError: no impressions, a probability that is not between 0 and 1, lengths that differ.
    """
    return float(losses(probability_I, clicked_I).mean())


def normalized_entropy(probability_I: ArrayLike, clicked_I: ArrayLike) -> float:
    """Log loss over that of the constant CTR; below 1 is better than knowing nothing.

    Raises:
        StatisticsError: as `log_loss`, or without a click, or with nothing but clicks.
    """
    _, y_I = labelled(probability_I, clicked_I)
    ctr = float(y_I.mean())
    if not 0 < ctr < 1:
        raise StatisticsError(f"normalized entropy: {int(y_I.sum())} of {y_I.size} clicked; expected some and not all")
    return log_loss(probability_I, clicked_I) / -float(xlogy(ctr, ctr) + xlogy(1 - ctr, 1 - ctr))


class Calibration(NamedTuple):
    """Σp / Σy, with what chance allows."""

    ratio: float
    interval: Interval
    """Of the ratio, clustered by unit; what the true calibration may be."""
    null_band: Interval
    """Where the ratio lies with this confidence if every p is right and clicks are independent given them."""
    clicks: int
    expected: float
    """Σp."""

    @property
    def within_null(self) -> bool:
        """Whether chance alone explains that it is not 1."""
        return self.null_band[0] <= self.ratio <= self.null_band[1]


def calibration(
    probability_I: ArrayLike, clicked_I: ArrayLike, unit_I: ArrayLike, *, alpha: float = 0.05
) -> Calibration:
    """Expected over observed clicks.

    The null band takes Σy for normal with mean Σp and variance Σp(1 - p); its upper end is infinite where no clicks at
    all would be no surprise.

    Args:
        probability_I: probability of a click of each impression.
        clicked_I: whether it was clicked.
        unit_I: unit of each impression, any integers.
        alpha: two-sided level of interval and band.

    Raises:
        StatisticsError: as `log_loss`, or without a click, or with fewer than two units.
    """
    p_I, y_I = labelled(probability_I, clicked_I)
    clicks, expected = int(y_I.sum()), float(p_I.sum())
    if not clicks:
        raise StatisticsError(f"calibration: none of {y_I.size} impressions was clicked, expected at least one")
    unit_I = numbers("unit_I", unit_I)
    same_length(probability_I=p_I, unit_I=unit_I)
    value, variance, units = ratio(RatioSums.of_rows(unit_I, p_I, y_I))
    half = student_quantile(units - 1, alpha) * sqrt(variance)
    reach = -float(ndtri(alpha / 2)) * sqrt(float(p_I @ (1 - p_I)))
    most = expected / (expected - reach) if expected > reach else inf
    return Calibration(value, (value - half, value + half), (expected / (expected + reach), most), clicks, expected)


def labelled(probability_I: ArrayLike, clicked_I: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Probabilities and clicks, checked.

    Raises:
        StatisticsError: none, one that is NaN or not between 0 and 1, lengths that differ, a click that is no 0 or 1.
    """
    p_I, y_I = numbers("probability_I", probability_I).astype(np.float64), numbers("clicked_I", clicked_I)
    same_length(probability_I=p_I, clicked_I=y_I)
    if not p_I.size:
        raise StatisticsError("got 0 impressions, expected at least one")
    if p_I.min() < 0 or p_I.max() > 1:
        raise StatisticsError(f"probability_I lies from {p_I.min():g} to {p_I.max():g}: expected 0 to 1")
    if not np.isin(y_I, (0, 1)).all():
        raise StatisticsError("clicked_I: expected 0 and 1 alone")
    return p_I, y_I.astype(np.bool_)
