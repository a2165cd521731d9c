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
