"""Ranking: AUC over all rows, and GAUC, which asks only how rows of one group are ranked against each other.

    AUC    share of pairs (clicked, not clicked) in the right order; ties count half
    GAUC   Σ_g n_g AUC_g / Σ_g n_g        over the groups g with clicked and unclicked rows, n_g their rows

A user is shown a ranking of their own, so how users compare with each other, which AUC counts too, helps nobody.
Both are Mann-Whitney's U from mid-ranks. GAUC costs one sort of all rows by (group, logit), whatever the number of
groups: ranks within a group are ranks among all rows less the rows before the group.

Source: Zhou et al., "Deep interest network for click-through rate prediction", KDD 2018 (user weighted AUC).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Groups = npt.NDArray[np.integer]


def auc(logits_N: Floats, clicks_N: Floats) -> float:
    """Probability that a clicked row is ranked above one that was not; ties count half.

    Mann-Whitney U from mid-ranks, O(N log N).

    Raises:
        ValueError: all rows clicked or none: there is no pair to rank.
    """
    clicked_N = np.asarray(clicks_N) > 0
    positives = int(clicked_N.sum())
    negatives = clicked_N.size - positives
    if positives == 0 or negatives == 0:
        raise ValueError(f"AUC needs clicked and unclicked rows: got {positives} clicked of {clicked_N.size}")
    _, position_N, counts = np.unique(logits_N, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = mid_ranks[position_N][clicked_N].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


class GroupedAuc(NamedTuple):
    """GAUC, and what it rests on."""

    value: float
    groups: int
    """Groups with clicked and unclicked rows."""
    rows: int
    """Rows of these groups."""
    groups_left_out: int
    """Groups in which all rows were clicked or none."""
    rows_left_out: int


def gauc(logits_N: Floats, clicks_N: Floats, groups_N: Groups) -> GroupedAuc:
    """AUC within groups, weighted by rows; groups without both classes are left out and counted.

    Args:
        logits_N: any scores; only their order within a group matters.
        clicks_N: 1 clicked, 0 not.
        groups_N: group of each row, any integers: ids of users, say.

    Raises:
        ValueError: no group has both clicked and unclicked rows.
    """
    order_N = np.lexsort((logits_N, groups_N))
    logits_N, groups_N = np.asarray(logits_N)[order_N], np.asarray(groups_N)[order_N]
    clicked_N = (np.asarray(clicks_N)[order_N] > 0).astype(np.float64)
    first_N = np.diff(groups_N, prepend=groups_N[:1] - 1) != 0
    start_G = np.flatnonzero(first_N)
    rows_G = np.diff(start_G, append=order_N.size)
    clicks_G = np.add.reduceat(clicked_N, start_G)
    pairs_G = clicks_G * (rows_G - clicks_G)
    rank_sum_G = np.add.reduceat(clicked_N * _mid_ranks(logits_N, first_N), start_G) - clicks_G * start_G
    ranked_G = pairs_G > 0
    if not ranked_G.any():
        raise ValueError(f"GAUC needs a group with clicked and unclicked rows: got none among {rows_G.size}")
    wins_G = rank_sum_G - clicks_G * (clicks_G + 1) / 2
    rows = int(rows_G[ranked_G].sum())
    return GroupedAuc(
        value=float(rows_G[ranked_G] @ (wins_G[ranked_G] / pairs_G[ranked_G]) / rows),
        groups=int(ranked_G.sum()),
        rows=rows,
        groups_left_out=int((~ranked_G).sum()),
        rows_left_out=order_N.size - rows,
    )


def _mid_ranks(logits_N: Floats, first_N: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """1-based ranks [N] of rows sorted by (group, logit); rows of a group that tie share the mean of their ranks."""
    new_N = first_N.copy()
    new_N[1:] |= logits_N[1:] != logits_N[:-1]
    start_T = np.flatnonzero(new_N)
    ties_T = np.diff(start_T, append=logits_N.size)
    return np.repeat(start_T + (ties_T + 1) / 2, ties_T)
