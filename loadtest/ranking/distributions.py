"""How much, how often, which: the distributions that traffic is drawn from, each from a generator with a seed.

Users are as active as `loadtest.traffic.users` has them. Items follow the same law, steeper: of 4,000 items the most
popular hundredth gets a fifth of the draws, so that caches see what they would see. Candidate counts are
log-normal, clipped: most requests rank about a hundred candidates, one in a hundred ranks over five hundred. A session
asks for several pages with one context. Replaying a log would be more faithful to one site, and needs that site's log.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loadtest.traffic.draws import Numbers
from loadtest.traffic.users import FLAT_TOP

ITEM_EXPONENT = 1.0
"""Popularity of the item of rank r falls as (r + FLAT_TOP I)^-1."""
Counts = npt.NDArray[np.int64]


def popularity(items: int) -> Numbers:
    """Share [I] of the candidates that each item gets, the most popular first."""
    weight_I = (np.arange(1, items + 1) + FLAT_TOP * items) ** -ITEM_EXPONENT
    share_I: Numbers = weight_I / weight_I.sum()
    return share_I


def candidate_counts(random: np.random.Generator, size: int, *, median: float, sigma: float, most: int) -> Counts:
    """Candidates of so many requests: log-normal with this median, from 1 to `most`.

    Args:
        random: where the draws come from.
        size: how many requests.
        median: of the distribution before it is clipped.
        sigma: standard deviation of the logarithm; 0 makes every request alike.
        most: what larger draws are cut to.
    """
    drawn = np.exp(random.normal(np.log(median), sigma, size))
    return np.clip(drawn.round(), 1, most).astype(np.int64)


def page_counts(random: np.random.Generator, size: int, *, mean: float) -> Counts:
    """Requests of so many sessions: geometric from 1; after every page the same share of users goes on."""
    return random.geometric(1 / mean, size)


def without_replacement(random: np.random.Generator, share_I: Numbers, count: int) -> Counts:
    """Positions of `count` different items, drawn one after another in proportion to their shares.

    The smallest of independent exponential times with these rates (Efraimidis and Spirakis 2006): one pass over the
    items, where `Generator.choice` makes several.
    """
    time_I = random.exponential(size=len(share_I)) / share_I
    if count >= len(share_I):
        return np.argsort(time_I)
    first = np.argpartition(time_I, count)[:count]
    return first[np.argsort(time_I[first])]
