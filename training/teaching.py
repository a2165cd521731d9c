"""Teaching: what teachers say of a batch of rows, read from memory or computed then and there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from training.hints import with_hint
from training.models.base import CTRModel
from training.teachers.base import Teacher


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What teachers say of a batch, in their order; teachers that learn along have a gradient."""

    logits_BT: Tensor
    hints: Sequence[Tensor] = ()
    """v_Ti, each [B, H_i]; empty where no hints are compared."""

    def detached(self) -> Taught:
        """The same without a way back into the teachers."""
        return Taught(logits_BT=self.logits_BT.detach(), hints=[hint.detach() for hint in self.hints])


class Teaching(Protocol):
    """Who answers for a batch."""

    def __call__(self, ids_BF: Tensor, rows_B: Tensor) -> Taught:
        """What the teachers say of these ids, which are these rows."""


@dataclass(frozen=True)
class Known:
    """Teachers whose logits [N, T] of all rows are in memory."""

    logits_NT: Tensor

    def __call__(self, ids_BF: Tensor, rows_B: Tensor) -> Taught:  # noqa: ARG002 - rows say which they are
        """The logits of these rows."""
        return Taught(logits_BT=self.logits_NT[rows_B])


class Asked:
    """Finished teachers that are asked about every batch, in float32 whatever the student is trained in.

    Args:
        teachers: asked in this order.
        hints: whether their hints are wanted; their logits then come from the same pass.
    """

    def __init__(self, teachers: Sequence[Teacher], *, hints: bool) -> None:
        self._teachers = teachers
        self._hinting = [teacher.model for teacher in teachers if teacher.model is not None] if hints else []

    @torch.no_grad()
    def __call__(self, ids_BF: Tensor, rows_B: Tensor) -> Taught:  # noqa: ARG002 - ids say it all
        """Logits, and hints where they are wanted."""
        with torch.autocast("cpu", enabled=False):
            if not self._hinting:
                return Taught(logits_BT=torch.stack([teacher.score(ids_BF) for teacher in self._teachers], dim=1))
            return _ask(self._hinting, ids_BF, hints=True)


class Learning(nn.Module):
    """Teachers that learn along, asked about every batch with a gradient.

    They draw the random numbers of their dropout first and from the generator itself, the student after them from a
    copy (`aside`): so they see the same numbers as alone, and take the same steps.
    """

    def __init__(self, models: Sequence[CTRModel], *, hints: bool) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self._hints = hints

    def forward(self, ids_BF: Tensor, rows_B: Tensor) -> Taught:  # noqa: ARG002 - ids say it all
        """Logits and hints."""
        return _ask([model for model in self.models if isinstance(model, CTRModel)], ids_BF, hints=self._hints)

    def aside(self) -> AbstractContextManager[None]:
        """Random numbers drawn in here are not missed by the teachers."""
        return torch.random.fork_rng(devices=()) if self.training else nullcontext()


def _ask(models: Sequence[CTRModel], ids_BF: Tensor, *, hints: bool) -> Taught:
    if not hints:
        return Taught(logits_BT=torch.stack([model(ids_BF).float() for model in models], dim=1))
    logits, vectors = zip(*(with_hint(model, ids_BF) for model in models), strict=True)
    return Taught(logits_BT=torch.stack(logits, dim=1).float(), hints=vectors)
