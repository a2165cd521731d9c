"""The P = m(m-1)/2 unordered pairs of distinct fields i < j, in the order (0,1), (0,2), …, (m-2,m-1).

Models that weight every pair on its own (FwFM, FmFM, FFM, FiBiNet, PIN) share this order, so that the weights of one
can be laid beside those of another.
"""

from __future__ import annotations

import torch
from torch import Tensor


def field_pairs(fields: int) -> Tensor:
    """The first and the second field of every pair, int64 [2, P]."""
    return torch.triu_indices(fields, fields, offset=1)


def pair_slots(fields: int) -> Tensor:
    """Where the pair (i, j) stands in that order, int64 [F, F]; P, one past the last, where i ≥ j."""
    first_P, second_P = field_pairs(fields)
    slots_FF = torch.full((fields, fields), len(first_P))
    slots_FF[first_P, second_P] = torch.arange(len(first_P))
    return slots_FF


def upper_triangle(values: Tensor, slots_FF: Tensor) -> Tensor:
    """Values of the pairs [P, …] laid out as [F, F, …], zero where i ≥ j.

    A gather and not an assignment: it exports to an operator that a graph folds when it is loaded.
    """
    zero = values.new_zeros(1, *values.shape[1:])
    return torch.cat([values, zero])[slots_FF]
