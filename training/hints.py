"""Hints: the hidden representations that eq. 9 of ECKD compares, and the maps W from a teacher's to the student's.

A hint is the input of `CTRModel.hint_unit()`, caught on its way while the model computes its logits: one pass gives
both. The alternative, a model that returns its hidden vector, would change what every model gives and exports.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.models.base import CTRModel


def with_hint(model: CTRModel, ids_BF: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [B] and the hint [B, H] of the same pass.

    Raises:
        ValueError: the model has no hidden representation.
        RuntimeError: its hint unit is not called where logits are computed.
    """
    caught: list[Tensor] = []

    def catch(_unit: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        caught.append(inputs[0])

    handle = model.hint_unit().register_forward_pre_hook(catch)
    try:
        logits_B = model(ids_BF)
    finally:
        handle.remove()
    if len(caught) != 1:
        raise RuntimeError(f"model {model.name!r} calls its hint unit {len(caught)} times per pass, expected once")
    return logits_B, caught[0].flatten(1)


class HintMaps(nn.Module):
    """W of eq. 9, one for each teacher, because their hints differ in length. Trained with the student.

    Args:
        student: H, the length of the student's hint.
        teachers: the lengths of the teachers' hints.
    """

    def __init__(self, student: int, teachers: Sequence[int]) -> None:
        super().__init__()
        maps = [nn.Linear(width, student, bias=False) for width in teachers]
        for linear in maps:
            nn.init.xavier_normal_(linear.weight)
        self.maps = nn.ModuleList(maps)

    def forward(self, hints: Sequence[Tensor], alpha_BT: Tensor) -> Tensor:
        """Σ_i α_i W_i v_Ti, [B, H]: eq. 10 with the teachers' hints in the place of their logits."""
        mapped_BTH = torch.stack([linear(hint) for linear, hint in zip(self.maps, hints, strict=True)], dim=1)
        return (alpha_BT[:, :, None] * mapped_BTH.float()).sum(1)
