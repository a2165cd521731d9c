"""A population of units whose distribution is known exactly, so that the truth of a simulation is known too.

A unit sees a geometric number of impressions and has a CTR of its own, beta-distributed: its clicks are beta-binomial.
Units come as pairs (clicks, impressions); n of them are a multinomial draw over the pairs, which costs the same for a
thousand units and a million. With intraclass correlation 0.09 and 10 impressions per unit on average, the variance of a
CTR is 2.6 times that of independent impressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from service.experiment.statistics.cuped import History
from service.experiment.statistics.ratio import RatioSums

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CORRELATION = 0.09
"""Of two impressions of one unit."""
IMPRESSIONS = 10
"""Per unit, on average."""
_NEVER = 1e-13
"""Pairs that are less probable are left out."""


@dataclass(frozen=True, slots=True)
class Population:
    """The pairs (clicks, impressions) a unit may have, and how often."""

    clicks_P: Ints
    impressions_P: Ints
    probability_P: Floats

    @classmethod
    def of(cls, ctr: float) -> Self:
        """Units of this CTR on average, over impressions."""
        impressions_P, clicks_P = np.tril_indices(int(np.log(_NEVER) / np.log1p(-1 / IMPRESSIONS)) + 1)
        spread = 1 / CORRELATION - 1
        a, b = ctr * spread, (1 - ctr) * spread
        d, m = impressions_P.astype(np.float64), clicks_P.astype(np.float64)
        choose = gammaln(d + 1) - gammaln(m + 1) - gammaln(d - m + 1)
        log_geometric = (d - 1) * np.log1p(-1 / IMPRESSIONS) - np.log(IMPRESSIONS)
        probability_P = np.exp(log_geometric + choose + betaln(m + a, d - m + b) - betaln(a, b))
        kept_P = (impressions_P > 0) & (probability_P > _NEVER)
        order_P = np.argsort(-probability_P[kept_P])
        probability_P = probability_P[kept_P][order_P]
        return cls(clicks_P[kept_P][order_P], impressions_P[kept_P][order_P], probability_P / probability_P.sum())

    def sums(self, generator: np.random.Generator, units: int) -> RatioSums:
        """What so many units leave behind."""
        count_P = generator.multinomial(units, self.probability_P)
        m, d = self.clicks_P, self.impressions_P
        return RatioSums(units, *(int(count_P @ column_P) for column_P in (m, d, m * m, d * d, m * d)))

    def units(self, generator: np.random.Generator, shape: tuple[int, ...]) -> tuple[Ints, Ints]:
        """Units one by one: their clicks and their impressions."""
        drawn = np.searchsorted(np.cumsum(self.probability_P)[:-1], generator.random(shape), side="right")
        return self.clicks_P[drawn], self.impressions_P[drawn]


def with_history(generator: np.random.Generator, units: int, ctr: float) -> History:
    """Units that were there before: the same CTR of each then and now, impressions of both times apart."""
    spread = 1 / CORRELATION - 1
    own_U = generator.beta(ctr * spread, (1 - ctr) * spread, units)
    d_U, w_U = generator.geometric(1 / IMPRESSIONS, (2, units))
    return History(generator.binomial(d_U, own_U), d_U, generator.binomial(w_U, own_U), w_U)


def latencies(generator: np.random.Generator, units: int) -> tuple[Any, Any]:
    """Milliseconds of each request and its unit: some units are slow in all they do."""
    unit_E = np.repeat(np.arange(units), generator.geometric(1 / IMPRESSIONS, units))
    return generator.lognormal(0, 0.4, units)[unit_E] * generator.lognormal(3, 0.5, unit_E.size), unit_E
