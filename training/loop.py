"""fit(): the one training loop. It knows batches and an objective, and nothing about phases or teachers.

Each epoch ends with one atomic file holding model, optimiser, best model and history, so a run killed at any moment
resumes at the last finished epoch and arrives at the same numbers. Validation decides which epoch is kept; the test
split is not known here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from service.bundle import replace_file
from training.config import FitOptions
from training.data.batches import TensorRows, epoch_batches
from training.models.base import CTRModel
from training.objective import BatchLoss, Objective
from training.progress import Progress
from training.state import History, State

_CHECK_EVERY = 32


class DivergedError(RuntimeError):
    """The loss is no longer finite."""


def fit(
    model: CTRModel,
    train: TensorRows,
    objective: Objective,
    options: FitOptions,
    *,
    directory: Path,
    seed: int,
    progress: Progress,
    identity: Mapping[str, str] | None = None,
) -> History:
    """Train until the deciding metric stops improving; the model ends with the weights of its best epoch.

    Args:
        model: trained in place; parameters that need no gradient stay as they are.
        train: rows the loss's row numbers refer to.
        objective: the loss of a batch, and the metric that decides when to stop and which epoch to keep.
        options: optimiser, batch size, stopping.
        directory: where `last.safetensors` and `metrics.jsonl` are kept; an unfinished run there is resumed.
        seed: orders the batches.
        progress: is told of batches and epochs.
        identity: digests of what the phase starts from; an unfinished run with others is not continued.

    Raises:
        CheckpointError: the unfinished run there started from something else.
        DivergedError: the loss is not finite; the last good epoch stays on disk.
    """
    modules = nn.ModuleDict({"model": model, "companions": objective.companions})
    trained = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
    state = State(directory / "last.safetensors", modules, optimizer, identity or {})
    history = state.load()
    _write_metrics(directory, history)  # a kill may have come between the state and its metrics
    while not history.exhausted(options):
        epoch = len(history.epochs)
        torch.manual_seed(seed * 1_000_003 + epoch)
        modules.train()
        loss = objective.loss
        train_loss = _train_epoch(model, optimizer, train, loss, options, seed=seed, epoch=epoch, progress=progress)
        metrics = objective.metrics(model)
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
    limit = options.max_steps_per_epoch or math.inf
    steps = min(math.ceil(len(train) / options.batch_size), limit)
    progress.epoch_starts(epoch, rows=int(min(len(train), steps * options.batch_size)))
    total = torch.zeros(())
    step = 0
    for rows_B in epoch_batches(len(train), options.batch_size, seed=seed, epoch=epoch):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(options, epoch + step / steps)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bfloat16"):
            batch_loss = loss(model, train.ids_NF[rows_B], rows_B)
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
