"""The linear unit that makes the logit: float32, whatever the matrix products before it are computed in.

    logit = w · x + b

A bfloat16 logit has three digits. Between 4 and 8 neighbours are 1/32 apart, so that a squared logit gap below 2e-4 and
any gradient that wants less than such a step is noise. One vector of weights costs nothing in float32.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn


def full_precision() -> AbstractContextManager[object]:
    """Within it matrix products are float32 under autocast too; inputs must be made float32 by whoever enters."""
    return torch.autocast("cpu", enabled=False) if torch.is_autocast_enabled("cpu") else nullcontext()


class Readout(nn.Linear):
    """Vectors [B, X] → [B, Y], usually Y = 1; weights are initialised by the model."""

    def forward(self, state_BX: Tensor) -> Tensor:
        """The outputs of each row, float32 [B, Y]."""
        with full_precision():
            return super().forward(state_BX.to(self.weight.dtype))
