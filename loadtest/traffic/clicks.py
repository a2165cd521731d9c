"""The click model: the probability with which a user clicks an item at a rank, known because it is defined here.

    p(user, item, rank) = e(rank) · a(user, item) · (1 + lift of the arm)
    e(rank) = 1 / log2(1 + rank), or 1 / rank^eta             examination: whether the user looks there
    a = 0.5 · sigmoid(base + taste_u + appeal_i + affinity_ui + relevance)          whether the user likes it

Taste, appeal and affinity are normal with the standard deviations below. Taste is a user's own and makes the clicks of
a user alike, as real ones are: at the ten ranks that are shown by default the click rate is 6 % and the intra-class
correlation of two clicks of a user 0.03, so that a test that took impressions for independent would be wrong.
Attraction stops at a half so that a lift of up to +100 % multiplies every probability exactly, and therefore every
click rate: the true relative lift between arms that rank alike is the one given, whoever the users are. Adding to the
logit instead would give each user another lift, and the mean would have to be estimated.

The alternative, replaying logged clicks, knows what happened and not what would have happened in the other arm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadtest.traffic.draws import Numbers, Stream, normals, uniforms
from loadtest.traffic.offers import Items

CEILING = 0.5
"""Largest attraction."""
LARGEST_LIFT = 1 / CEILING - 1


@dataclass(frozen=True, kw_only=True)
class ClickModel:
    """True click probabilities.

    Raises:
        ValueError: a lift would push a probability beyond 0 or 1.
    """

    seed: int
    base: float = -1.5
    """Logit of the attraction of an average item to an average user."""
    taste: float = 1.2
    """Standard deviation between users."""
    appeal: float = 0.7
    """Standard deviation between items."""
    affinity: float = 0.5
    """Standard deviation between users of an item, and items of a user, beyond taste and appeal."""
    eta: float | None = None
    """Examination falls as 1 / rank^eta; as 1 / log2(1 + rank) without one."""

    def examination(self, ranks: int) -> Numbers:
        """Probability [K] that the user looks at each of the first so many ranks; 1 at the first."""
        rank_K = np.arange(1, ranks + 1, dtype=np.float64)
        return 1 / np.log2(1 + rank_K) if self.eta is None else rank_K**-self.eta

    def attraction(self, user: int, items_K: Items, relevance_K: Numbers | float = 0.0) -> Numbers:
        """Probability [K] that the user likes each item, looking at it; at most CEILING."""
        logit_K = (
            self.base
            + self.taste * normals(Stream.TASTE, self.seed, user)
            + self.appeal * normals(Stream.APPEAL, self.seed, items_K)
            + self.affinity * normals(Stream.AFFINITY, self.seed, user, items_K)
            + relevance_K
        )
        return CEILING / (1 + np.exp(-logit_K))

    def probabilities(
        self, user: int, items_K: Items, relevance_K: Numbers | float = 0.0, *, lift: float = 0.0
    ) -> Numbers:
        """True click probability [K] of each item, shown in this order, the first at rank 1."""
        if not -1 <= lift <= LARGEST_LIFT:
            raise ValueError(f"lift: got {lift:g}, expected -1 to {LARGEST_LIFT:g}")
        return self.examination(len(items_K)) * self.attraction(user, items_K, relevance_K) * (1 + lift)

    def clicked(self, user: int, visit: int, items_K: Items, probability_K: Numbers) -> npt.NDArray[np.bool_]:
        """Whether [K] each item is clicked in this visit: the same draw whatever the arm, the rank or the time."""
        return uniforms(Stream.CLICK, self.seed, user, visit, items_K) < probability_K


def relevance(probability_N: Numbers, weight: float) -> Numbers:
    """How far [N] each candidate is above the mean of its request to a model that is taken for the truth, on the logit.

    Args:
        probability_N: that model's click probabilities.
        weight: 1 takes its logits as they are, 0 ignores them.
    """
    bounded_N = np.clip(probability_N, 1e-6, 1 - 1e-6)
    logit_N = np.log(bounded_N / (1 - bounded_N))
    centred_N: Numbers = weight * (logit_N - logit_N.mean())
    return centred_N
