"""Folds: teachers on different partitions of training and validation rows; the test rows stay what they are.

Section 4.4 of ECKD: 3T(D) and 6T(D) are teachers "trained on different data partitions of training and validation
sets, while the testing set remains the same". Here: training and validation rows, in this order, are dealt to k folds
by a seeded shuffle; the i-th teacher's validation rows are fold i, it is trained on all others. With k of 9 or 10 and
three teachers each keeps as many rows as an undivided one; with k = 3 every row is held out by one of three.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.data.batches import TensorRows


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The i-th of k folds, counted from 0; folds of one seed are disjoint."""

    index: int
    folds: int
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.folds or self.folds < 2:  # noqa: PLR2004 - a fold and its rest
            raise ValueError(f"fold {self.index} of {self.folds}; expected 0 ≤ i < k and k ≥ 2")

    def held_out(self, rows: int) -> Tensor:
        """Which of this many rows are in the fold, bool [rows]."""
        order_N = torch.randperm(rows, generator=torch.Generator().manual_seed(self.seed))
        return order_N % self.folds == self.index

    def split(self, train: TensorRows, validation: TensorRows) -> tuple[TensorRows, TensorRows]:
        """What the fold's teacher is trained on, and what decides when it stops."""
        both = joined(train, validation)
        held_out_N = self.held_out(len(both))
        return _where(both, ~held_out_N), _where(both, held_out_N)


def joined(*parts: TensorRows) -> TensorRows:
    """The rows of all parts, one part after the other."""
    return TensorRows(torch.cat([part.ids_NF for part in parts]), torch.cat([part.clicks_N for part in parts]))


def _where(rows: TensorRows, mask_N: Tensor) -> TensorRows:
    return TensorRows(rows.ids_NF[mask_N], rows.clicks_N[mask_N])
