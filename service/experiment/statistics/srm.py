"""Sample ratio mismatch: do the arms hold the units that the weights promise? If not, no other number counts.

    once          χ² = Σ (O - E)² / E,  k - 1 degrees of freedom,  alarm at p < 0.001
    at any time   ln BF = Σ_t [ ln B(a_t + x_t) - ln B(a_t) - Σ_k x_tk·ln π_k ],   a_0 = c·π,  a_t+1 = a_t + x_t
                  p = running minimum of 1/BF

The second compares "the weights are π" with a Dirichlet prior around π; c = 10,000 looks for deviations of about half a
percentage point. It may be looked at after every row: χ² at 0.001 looked at 30 times raises nine false alarms in a
thousand, this at most one. A unit counts once, in the row of its first exposure.

Source: reference section 1.4; Lindon and Malek, arXiv 2011.01808; Fabijan et al., KDD 2019.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, gammaln

from service.experiment.statistics.arrays import Floats
from service.experiment.statistics.errors import StatisticsError

ALARM = 0.001
"""An SRM is called below this p."""
CONCENTRATION = 10_000.0
"""c: weight of the prior around the promised shares."""


def chi_square(counts_K: ArrayLike, shares_K: ArrayLike) -> float:
    """P that arms of these shares hold units as uneven as these, looked at once.

    Args:
        counts_K: units in each arm.
        shares_K: what each arm was promised: weights of any sum.

    Raises:
        StatisticsError: no units, or shares that are not all above zero.
    """
    counts_K, shares_K = np.asarray(counts_K, dtype=np.float64), normal_shares(shares_K)
    _check_counts(counts_K, shares_K)
    expected_K = counts_K.sum() * shares_K
    if expected_K.sum() <= 0:
        raise StatisticsError("SRM: got 0 units in all arms, expected at least one")
    return float(chdtrc(shares_K.size - 1, np.sum((counts_K - expected_K) ** 2 / expected_K)))


def log_bayes_factor(counts_TK: ArrayLike, shares_K: ArrayLike, *, concentration: float = CONCENTRATION) -> Floats:
    """Logarithm of BF after each of T rows of newly arrived units; above 0 speaks for a mismatch.

    It depends on the units so far alone, not on the rows they came in. Leading axes stay: (..., T, K) → (..., T).
    """
    counts_TK, shares_K = np.asarray(counts_TK, dtype=np.float64), normal_shares(shares_K)
    _check_counts(counts_TK, shares_K)
    so_far_TK = np.cumsum(counts_TK, axis=-2)
    prior_K = concentration * shares_K
    return (
        _log_beta(prior_K + so_far_TK) - _log_beta(prior_K) - np.asarray(so_far_TK @ np.log(shares_K), dtype=np.float64)
    )


def sequential(counts_TK: ArrayLike, shares_K: ArrayLike, *, concentration: float = CONCENTRATION) -> Floats:
    """Anytime-valid p of an SRM after each of T rows.

    Args:
        counts_TK: units that first appeared in each period, per arm; a period may have none.
        shares_K: what each arm was promised: weights of any sum.
        concentration: c of the prior.

    Raises:
        StatisticsError: negative counts, shapes that do not meet, or shares that are not all above zero.
    """
    log_bf_T = log_bayes_factor(counts_TK, shares_K, concentration=concentration)
    return np.exp(np.minimum.accumulate(np.minimum(-log_bf_T, 0.0), axis=-1))


def normal_shares(shares_K: ArrayLike) -> Floats:
    """Weights as shares that sum to one.

    Raises:
        StatisticsError: fewer than two, or not all above zero.
    """
    shares_K = np.asarray(shares_K, dtype=np.float64)
    if shares_K.ndim != 1 or shares_K.size < 2 or not (np.isfinite(shares_K) & (shares_K > 0)).all():  # noqa: PLR2004
        raise StatisticsError(f"shares: got {shares_K.tolist()}, expected two or more, each above 0")
    normal_K: Floats = shares_K / shares_K.sum()
    return normal_K


def _check_counts(counts_K: Floats, shares_K: Floats) -> None:
    if counts_K.shape[-1:] != shares_K.shape:
        raise StatisticsError(f"counts have shape {counts_K.shape}: expected {shares_K.size} arms in the last axis")
    if not (np.isfinite(counts_K) & (counts_K >= 0)).all():
        raise StatisticsError("counts: expected finite numbers of units, none below 0")


def _log_beta(a_K: Floats) -> Floats:
    log_gamma_K: Floats = gammaln(a_K)
    log_gamma: Floats = gammaln(a_K.sum(axis=-1))
    return np.asarray(log_gamma_K.sum(axis=-1) - log_gamma, dtype=np.float64)
