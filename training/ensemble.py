"""Ensemble: many teachers as one. Their LOGITS are combined, sample by sample, with weights that sum to one.

    z = Σ_i α_i z_Ti                                            eq. 10 of ECKD
    α = softmax(w_i z_Ti + b_i)                                 eq. 11

average: w = 0, b = 0. fixed: w = 0, b = ln of the given weights. gate: w and b are learned, starting as the average.

The paper writes Σ α_i T_i and leaves open whether T_i is a logit or a probability. Logits, here: what follows (eq. 8,
the squared gap) and the gate itself read logits; the average of logits is the geometric mean of the odds.

The gate learns from the distillation loss alone, as in the paper: nothing tells it which teacher is right, and with
too little else to do it may move to whatever the student finds easiest. Hence its mean weights stand in the metrics,
and `gate_click_weight` can add the ensemble's own click loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Teachers' logits [B, T] → their weights α [B, T].

    Args:
        teachers: T.
        weights: fixed weights, positive; they are divided by their sum. None: equal ones.
        gated: whether w and b are learned.
    """

    def __init__(self, teachers: int, weights: Sequence[float] | None = None, *, gated: bool = False) -> None:
        super().__init__()
        bias_T = torch.zeros(teachers) if weights is None else torch.tensor(weights).log()
        self.gated = gated
        self.slope_T = nn.Parameter(torch.zeros(teachers), requires_grad=gated)
        self.bias_T = nn.Parameter(bias_T, requires_grad=gated)

    def forward(self, logits_BT: Tensor, heard_BT: Tensor | None = None) -> Tensor:
        """α [B, T].

        Args:
            logits_BT: z_T.
            heard_BT: which teachers count on which row, at least one on each; None: all.
        """
        scores_BT = self.slope_T * logits_BT + self.bias_T
        if heard_BT is not None:
            scores_BT = scores_BT.masked_fill(~heard_BT, -torch.inf)
        return scores_BT.softmax(1)
