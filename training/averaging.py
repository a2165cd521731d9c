"""Averaged weights: the model that is validated and kept is the moving average of the one that is trained.

    average ← decay · average + (1 - decay) · weights        after every step; the first step copies

Averages of the last thousand or so steps sit in the middle of where Adam wanders at a constant step size: on
MovieLens-1M that is worth more AUC than any falling step size (training/configs/LOG.md). Cost: one pass over all
weights a step, which large tables feel.
"""

from __future__ import annotations

from typing import cast

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def average_of(modules: nn.Module, decay: float) -> AveragedModel | None:
    """The running average of these modules' weights, or None if `decay` is 0: the weights as they are."""
    if not decay:
        return None
    return AveragedModel(modules, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def kept_modules(modules: nn.ModuleDict, averaged: AveragedModel | None) -> nn.ModuleDict:
    """What is validated and kept: the average if there is one, else the modules that are trained."""
    return modules if averaged is None else cast("nn.ModuleDict", averaged.module)
