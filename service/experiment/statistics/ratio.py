"""A ratio of sums over units, such as CTR, with a variance that knows its rows are not independent.

    R = ΣM / ΣD,    e_i = (M_i - R·D_i) / D̄,    Var(R) = Σe_i² / ((n - 1)·n)

M_i are a unit's clicks and D_i its impressions; n units. Impressions of one unit are alike, so a binomial variance of
all impressions is too small; units are independent, since a hash assigned them. Var(R) is that of the delta method,
[s²_M - 2R·s_MD + R²·s²_D] / (n·D̄²), written without its cancellation: the e_i sum to zero. Six sums suffice. Sums of
integers stay integers, and then the variance is exact but for its last rounding.

Source: reference section 1.4; Deng, Knoblich, Lu, "Applying the delta method in metric analytics", KDD 2018.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.experiment.statistics.arrays import numbers, same_length
from service.experiment.statistics.effect import Effect, Estimate, difference, relative
from service.experiment.statistics.errors import StatisticsError


class RatioSums(NamedTuple):
    """All that an arm's units leave behind. Add them field by field: `a.plus(b)`, of other units."""

    n: int
    """Units."""
    m: float
    """Sum of numerators: clicks."""
    d: float
    """Sum of denominators: impressions."""
    mm: float
    """Sum of squared numerators."""
    dd: float
    """Sum of squared denominators."""
    md: float
    """Sum of numerator times denominator."""

    @classmethod
    def of(cls, clicks_U: ArrayLike, impressions_U: ArrayLike) -> Self:
        """Sum over units.

        Args:
            clicks_U: numerator of each unit; clicks, or anything else that is summed.
            impressions_U: denominator of each unit; 0 for a unit without any.

        Raises:
            StatisticsError: lengths differ, or a number is not finite.
        """
        m_U, d_U = numbers("clicks_U", clicks_U), numbers("impressions_U", impressions_U)
        same_length(clicks_U=m_U, impressions_U=d_U)
        sums = (m_U.sum(), d_U.sum(), m_U @ m_U, d_U @ d_U, m_U @ d_U)
        return cls(m_U.size, *(number.item() for number in sums))

    @classmethod
    def of_rows(cls, unit_I: NDArray[np.int64], numerator_I: ArrayLike, denominator_I: ArrayLike | None = None) -> Self:
        """Sum rows of units: a unit's rows are added up first, and only units that have rows count.

        Args:
            unit_I: unit of each row, any integers.
            numerator_I: clicked or not, a loss, a probability, an error.
            denominator_I: 1 for each row if left out.
        """
        _, unit_I = np.unique(unit_I, return_inverse=True)
        numerator_U = np.bincount(unit_I, np.asarray(numerator_I, dtype=np.float64))
        weights_I = None if denominator_I is None else np.asarray(denominator_I, dtype=np.float64)
        return cls.of(numerator_U, np.bincount(unit_I, weights_I))

    def plus(self, other: RatioSums) -> RatioSums:
        """Sums over the units of both, which share no unit."""
        n, *sums = (mine + others for mine, others in zip(self, other, strict=True))
        return RatioSums(int(n), *sums)


def ratio(sums: RatioSums, arm: str = "the arm") -> Estimate:
    """R = ΣM / ΣD with its variance clustered by unit.

    Args:
        sums: of one arm.
        arm: how to call it in errors.

    Raises:
        StatisticsError: fewer than two units, or no impressions.
    """
    n, m, d, mm, dd, md = sums
    if n < 2:  # noqa: PLR2004
        raise StatisticsError(f"{arm} has {n} units: expected 2 or more, one alone shows no variance")
    if d <= 0:
        raise StatisticsError(
            f"{arm} has {n} units without impressions: their denominators sum to {d:g}, expected above 0"
        )
    # Over d², so that integers are only divided at the end.
    residual = max(mm * d * d - 2 * m * d * md + m * m * dd, 0)
    return Estimate(m / d, residual / (d * d) * n / (n - 1) / (d * d), n)


def absolute_effect(treatment: RatioSums, control: RatioSums, *, alpha: float = 0.05) -> Effect:
    """R_T - R_C.

    Raises:
        StatisticsError: an arm has fewer than two units or no impressions, or neither varies.
    """
    return difference(ratio(treatment, "the treatment"), ratio(control, "the control"), alpha=alpha)


def lift(treatment: RatioSums, control: RatioSums, *, alpha: float = 0.05) -> Effect:
    """R_T / R_C - 1; with Fieller's interval below 200 units in an arm or on a noisy control (method says which).

    Raises:
        StatisticsError: as `absolute_effect`, and without clicks in the control.
    """
    return relative(ratio(treatment, "the treatment"), ratio(control, "the control"), alpha=alpha)
