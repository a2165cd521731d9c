"""Kendall's τ_b of two lists of numbers, exact with ties, in O(N log N) array operations on integers.

    τ_b = (C − D) / sqrt((P − T_a)(P − T_b)),      P = N (N − 1) / 2 pairs

C and D are the pairs that both lists order alike and oppositely, T_a and T_b the pairs tied in one list. Ordered by
the first list and, within its ties, by the second, D is the number of inversions of the second (Knight). Those are
counted as merge sort meets them: all pairs within short blocks, then between neighbouring sorted blocks, all at once.
scipy's gives the same number and serves as the oracle in the tests; it takes longer to import than this to run.

Source: Knight, A Computer Method for Calculating Kendall's Tau with Ungrouped Data, JASA 1966; Kendall, The Treatment
of Ties in Ranking Problems, Biometrika 1945.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating]
_Integers = npt.NDArray[np.int64]

_BLOCK = 32
"""Numbers that are compared each with each: fewer cost more rounds, more cost more pairs."""
_EARLIER = np.triu(np.ones((_BLOCK, _BLOCK), bool), 1)


def kendall_tau_b(first_N: Numbers, second_N: Numbers) -> float | None:
    """τ_b in [-1, 1] of two lists [N] without NaN; None where a list has no two different numbers."""
    first_rank_N, second_rank_N = _dense_ranks(first_N), _dense_ranks(second_N)
    joint_N = first_rank_N * (len(first_N) + 1) + second_rank_N
    order_N = np.argsort(joint_N, kind="stable")
    pairs = len(first_N) * (len(first_N) - 1) // 2
    untied_first = pairs - _tied_pairs(np.bincount(first_rank_N))
    untied_second = pairs - _tied_pairs(np.bincount(second_rank_N))
    if untied_first == 0 or untied_second == 0:
        return None
    joint_ties = _tied_pairs(_run_lengths(joint_N[order_N]))
    discordant = count_inversions(second_rank_N[order_N])
    # Pairs untied in both lists are those that are neither tied in the first nor in the second.
    untied = untied_first + untied_second - pairs + joint_ties
    return max(-1.0, min(1.0, (untied - 2 * discordant) / math.sqrt(untied_first * untied_second)))


def count_inversions(values_N: _Integers) -> int:
    """Pairs i < j with values[i] > values[j], of integers [N] >= 0."""
    # What is added at the end is larger than all before it, and equal among itself: no pair with it counts.
    larger = int(values_N.max(initial=0)) + 1
    blocks_BW = np.append(values_N, np.full(-len(values_N) % _BLOCK, larger)).reshape(-1, _BLOCK)
    inversions = int(np.count_nonzero((blocks_BW[:, :, None] > blocks_BW[:, None, :]) & _EARLIER))
    blocks_BW = np.sort(blocks_BW, axis=1)
    while len(blocks_BW) > 1:
        if len(blocks_BW) % 2:
            blocks_BW = np.append(blocks_BW, np.full((1, blocks_BW.shape[1]), larger), axis=0)
        inversions += _between(blocks_BW[0::2], blocks_BW[1::2], larger)
        blocks_BW = np.sort(blocks_BW.reshape(len(blocks_BW) // 2, -1), axis=1)
    return inversions


def _between(left_BW: _Integers, right_BW: _Integers, larger: int) -> int:
    """Pairs of a number in a left block and a smaller one in the right block beside it; blocks are sorted."""
    blocks, width = left_BW.shape
    offset_B1 = np.arange(blocks)[:, None] * (larger + 1)  # makes one sorted list of all blocks
    not_larger = np.searchsorted((left_BW + offset_B1).ravel(), (right_BW + offset_B1).ravel(), side="right")
    end = np.arange(1, blocks + 1) * width
    pairs: int = int(end.sum()) * width - int(not_larger.sum())
    return pairs


def _dense_ranks(values_N: Numbers) -> _Integers:
    """0 for the smallest number, 1 for the next larger one, …"""
    order_N = np.argsort(values_N)
    rising_N = values_N[order_N]
    ranks_N = np.empty(len(values_N), np.int64)
    ranks_N[order_N] = np.concatenate([[0], np.cumsum(rising_N[1:] != rising_N[:-1])])
    return ranks_N


def _run_lengths(sorted_N: _Integers) -> _Integers:
    starts = np.flatnonzero(np.diff(sorted_N, prepend=-1))
    return np.diff(starts, append=len(sorted_N))


def _tied_pairs(counts: npt.NDArray[np.integer]) -> int:
    return int((counts * (counts - 1) // 2).sum())
