"""What a killed phase resumes from: one atomic file with the modules, the optimiser, the best epoch and the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.checkpoint import CheckpointError, load_tensors, save_tensors
from training.config import FitOptions


@dataclass
class History:
    """What happened so far; all of it is in the checkpoint."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    best_score: float = -1e300
    """Finite, because it is stored as JSON."""

    def add(self, epoch: Mapping[str, float], score: float) -> bool:
        """Append one epoch's metrics and its score, higher is better; True if it is the best so far."""
        self.epochs.append(dict(epoch))
        better = score > self.best_score
        if better:
            self.best_epoch, self.best_score = len(self.epochs) - 1, score
        return better

    def exhausted(self, options: FitOptions) -> bool:
        """Whether the run is over: too long without a better epoch, or long enough."""
        waited = len(self.epochs) - 1 - self.best_epoch
        return len(self.epochs) >= options.max_epochs or waited >= options.patience


class State:
    """Modules, optimiser and best epoch of an unfinished phase.

    Args:
        path: the file.
        modules: everything that is trained.
        optimizer: of the modules.
        identity: digests of what the phase starts from; a file with others is not continued.
        averaged: running average of the modules, if there is one.
    """

    def __init__(
        self,
        path: Path,
        modules: nn.Module,
        optimizer: torch.optim.Optimizer,
        identity: Mapping[str, str],
        averaged: nn.Module | None = None,
    ) -> None:
        self._path = path
        self._identity = dict(identity)
        self._modules = modules
        self._optimizer = optimizer
        self._averaged = nn.Module() if averaged is None else averaged
        self._best: dict[str, Tensor] = {}

    def keep_best(self, kept: nn.Module) -> None:
        """Remember these weights: the modules' own or their average."""
        self._best = {name: tensor.clone() for name, tensor in kept.state_dict().items()}

    def restore_best(self) -> None:
        """Set the modules to what was remembered."""
        self._modules.load_state_dict(self._best)

    def save(self, history: History) -> None:
        """Write everything, in one step."""
        tensors = {f"now.{name}": tensor for name, tensor in self._modules.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
        tensors |= {f"averaged.{name}": tensor for name, tensor in self._averaged.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in moments.items()}
        save_tensors(self._path, tensors, {"identity": self._identity, "history": asdict(history)})

    def load(self) -> History:
        """The history so far, modules and optimiser set to it; an empty one if nothing was kept.

        Raises:
            CheckpointError: the file is damaged, or its phase started from something else.
        """
        if not self._path.exists():
            return History()
        tensors, meta = load_tensors(self._path)
        if meta.get("identity") != self._identity:
            raise CheckpointError(
                f"{self._path}: an unfinished phase that started from {meta.get('identity')}, this run starts from "
                f"{self._identity}; remove {self._path.parent} to begin again"
            )
        self._modules.load_state_dict(_under("now", tensors))
        self._averaged.load_state_dict(_under("averaged", tensors))
        self._best = _under("best", tensors)
        moments: dict[int, dict[str, Any]] = {}
        for name, tensor in _under("optimizer", tensors).items():
            number, key = name.split(".")
            moments.setdefault(int(number), {})[key] = tensor
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        return History(**meta["history"])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    cut = len(prefix) + 1
    return {name[cut:]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}
