"""fit(): the one training loop. It knows batches, a loss, a validation split and nothing about models or phases.

Each epoch ends with one atomic file holding model, optimiser, best model and history, so a run killed at any moment
resumes at the last finished epoch and arrives at the same numbers. Validation decides which epoch is kept; the test
split is not known here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from service.bundle import replace_file
from training.checkpoint import CheckpointError, load_tensors, save_tensors
from training.config import FitOptions
from training.data.batches import TensorRows, epoch_batches
from training.metrics import auc, log_loss
from training.models.base import CTRModel
from training.progress import Progress

BatchLoss = Callable[[Tensor, Tensor], Tensor]
"""(logits_B, row numbers_B) → loss."""

ValidationMetrics = Callable[[Tensor], dict[str, float]]
"""logits_N of the validation rows → metrics by name."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a phase minimises in training and what decides, on validation, which of its epochs is kept."""

    loss: BatchLoss
    metrics: ValidationMetrics
    decides: str
    """Name of the deciding metric."""
    higher_is_better: bool = True


_EVALUATION_BATCH = 16_384
_CHECK_EVERY = 32


class DivergedError(RuntimeError):
    """The loss is no longer finite."""


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


@torch.inference_mode()
def predict(model: CTRModel, ids_NF: Tensor) -> Tensor:
    """Logits float32 [N] in evaluation mode."""
    model.eval()
    starts = range(0, len(ids_NF), _EVALUATION_BATCH)
    return torch.cat([model(ids_NF[start : start + _EVALUATION_BATCH]) for start in starts])


def click_metrics(rows: TensorRows) -> ValidationMetrics:
    """`auc` and `log_loss` against the clicks of these rows."""
    clicks_N = rows.clicks_N.numpy()

    def metrics(logits_N: Tensor) -> dict[str, float]:
        return {"auc": auc(logits_N.numpy(), clicks_N), "log_loss": log_loss(logits_N.numpy(), clicks_N)}

    return metrics


def fit(
    model: CTRModel,
    train: TensorRows,
    validation: TensorRows,
    objective: Objective,
    options: FitOptions,
    *,
    directory: Path,
    seed: int,
    progress: Progress,
    identity: Mapping[str, str] | None = None,
) -> History:
    """Train until the deciding validation metric stops improving; the model ends with the weights of its best epoch.

    Args:
        model: trained in place; parameters that need no gradient stay as they are.
        train: rows the loss's row numbers refer to.
        validation: rows that decide when to stop and which epoch to keep.
        objective: the loss of a batch, and the metric that decides.
        options: optimiser, batch size, stopping.
        directory: where `last.safetensors` and `metrics.jsonl` are kept; an unfinished run there is resumed.
        seed: orders the batches.
        progress: is told of batches and epochs.
        identity: digests of what the phase starts from; an unfinished run with others is not continued.

    Raises:
        CheckpointError: the unfinished run there started from something else.
        DivergedError: the loss is not finite; the last good epoch stays on disk.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
    state = _State(directory / "last.safetensors", model, optimizer, dict(identity or {}))
    history = state.load()
    _write_metrics(directory, history)  # a kill may have come between the state and its metrics
    while not history.exhausted(options):
        epoch = len(history.epochs)
        torch.manual_seed(seed * 1_000_003 + epoch)
        loss = objective.loss
        train_loss = _train_epoch(model, optimizer, train, loss, options, seed=seed, epoch=epoch, progress=progress)
        metrics = objective.metrics(predict(model, validation.ids_NF))
        score = metrics[objective.decides] * (1 if objective.higher_is_better else -1)
        validated = {f"validation_{name}": value for name, value in metrics.items()}
        if history.add({"epoch": epoch, "train_loss": train_loss, **validated}, score):
            state.keep_best()
        state.save(history)
        _write_metrics(directory, history)
        progress.epoch_done(history.epochs[-1], best_epoch=history.best_epoch)
    state.restore_best()
    return history


def _write_metrics(directory: Path, history: History) -> None:
    lines = "".join(json.dumps(line) + "\n" for line in history.epochs)
    replace_file(directory / "metrics.jsonl", lines.encode())


def learning_rate(options: FitOptions, epochs_done: float) -> float:
    """The step size after this many epochs, fractions included."""
    left = 1.0 if options.decay == "none" else 1.0 - epochs_done / options.max_epochs
    return options.learning_rate * left


def _train_epoch(
    model: CTRModel,
    optimizer: torch.optim.Optimizer,
    train: TensorRows,
    loss: BatchLoss,
    options: FitOptions,
    *,
    seed: int,
    epoch: int,
    progress: Progress,
) -> float:
    """One pass over the training rows; returns the mean loss per batch."""
    model.train()
    limit = options.max_steps_per_epoch or math.inf
    steps = min(math.ceil(len(train) / options.batch_size), limit)
    progress.epoch_starts(epoch, rows=int(min(len(train), steps * options.batch_size)))
    total = torch.zeros(())
    step = 0
    for rows_B in epoch_batches(len(train), options.batch_size, seed=seed, epoch=epoch):
        optimizer.param_groups[0]["lr"] = learning_rate(options, epoch + step / steps)
        optimizer.zero_grad()
        batch_loss = loss(model(train.ids_NF[rows_B]), rows_B)
        batch_loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += batch_loss.detach()
        step += 1
        progress.advance(len(rows_B))
        if step % _CHECK_EVERY == 0 or step == steps:
            _require_finite(total, epoch, step)
        if step == steps:
            break
    return float(total) / step


def _require_finite(total: Tensor, epoch: int, step: int) -> None:
    if not torch.isfinite(total):
        first = max(1, step - _CHECK_EVERY + 1)
        raise DivergedError(
            f"loss is {float(total)} in epoch {epoch}, steps {first}-{step}; the epochs before are kept. "
            "Lower learning_rate, or look at the rows of these steps"
        )


class _State:
    """Everything a resumed run needs, as one file."""

    def __init__(self, path: Path, model: CTRModel, optimizer: torch.optim.Optimizer, identity: dict[str, str]) -> None:
        self._path = path
        self._identity = identity
        self._model = model
        self._optimizer = optimizer
        self._best: dict[str, Tensor] = {}

    def keep_best(self) -> None:
        self._best = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}

    def restore_best(self) -> None:
        self._model.load_state_dict(self._best)

    def save(self, history: History) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in self._model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in moments.items()}
        save_tensors(self._path, tensors, {"identity": self._identity, "history": asdict(history)})

    def load(self) -> History:
        """The history so far, model and optimiser set to it; an empty one if nothing was kept."""
        if not self._path.exists():
            return History()
        tensors, meta = load_tensors(self._path)
        if meta.get("identity") != self._identity:
            raise CheckpointError(
                f"{self._path}: an unfinished phase that started from {meta.get('identity')}, this run starts from "
                f"{self._identity}; remove {self._path.parent} to begin again"
            )
        self._model.load_state_dict(_under("model", tensors))
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
