"""Batches: ids and clicks as tensors, visited in an order that depends on seed and epoch alone.

An order that is a function of (seed, epoch) needs no generator state in a checkpoint: a run killed in epoch 7 and
resumed sees in epoch 7 exactly the batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.data.prepare import Rows


@dataclass(frozen=True)
class TensorRows:
    """ids_NF int32 [N, F] and clicks_N float32 [N] as tensors."""

    ids_NF: Tensor
    clicks_N: Tensor

    @classmethod
    def of(cls, rows: Rows) -> TensorRows:
        """The rows, read into memory."""
        return cls(torch.from_numpy(np.array(rows.ids_NF)), torch.from_numpy(np.array(rows.clicks_N)))

    def __len__(self) -> int:
        return len(self.clicks_N)


def epoch_batches(rows: int, batch_size: int, *, seed: int, epoch: int) -> Iterator[Tensor]:
    """Row numbers int64 [≤ batch_size] of each batch: every row once, shuffled by (seed, epoch)."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order_N = torch.randperm(rows, generator=generator)
    yield from order_N.split(batch_size)  # type: ignore[no-untyped-call]
