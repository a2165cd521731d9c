"""Averaged weights are what is validated, kept, and resumed."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.config import FitOptions
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.loop import fit
from training.models.base import CTRModel
from training.models.registry import build
from training.objective import Objective, click_objective
from training.progress import Progress

OPTIONS = FitOptions(learning_rate=0.02, weight_decay=0.0, batch_size=256, max_epochs=3, patience=3, average=0.9)


def model_for(prepared: Prepared) -> CTRModel:
    torch.manual_seed(0)
    return build("crossnet", {"embedding_size": 4, "layers": 1}, prepared.encoder.sizes)


@pytest.fixture
def train(prepared: Prepared) -> TensorRows:
    return TensorRows.of(prepared.rows("train"))


@pytest.fixture
def objective(prepared: Prepared, train: TensorRows) -> Objective:
    return click_objective(train, TensorRows.of(prepared.rows("validation")))


def test_what_is_kept_is_the_running_average_of_every_step(
    prepared: Prepared, train: TensorRows, objective: Objective, tmp_path: Path
) -> None:
    """Against a loop over what the weights were when each loss was asked for, and the last of all."""
    (tmp_path / "plain").mkdir()
    seen: list[Tensor] = []

    def loss(model: CTRModel, ids_BF: Tensor, rows_B: Tensor) -> Tensor:
        seen.append(model.state_dict()["readout.weight"].clone())
        return objective.loss(model, ids_BF, rows_B)

    watched = Objective(loss=loss, metrics=lambda _model: {"auc": 0.5, "log_loss": 1.0}, decides="auc")
    options = OPTIONS.model_copy(update={"max_epochs": 1})
    model = model_for(prepared)
    fit(model, train, watched, options, directory=tmp_path, seed=0, progress=Progress("test"))
    plain = model_for(prepared)
    alone = options.model_copy(update={"average": 0.0})
    fit(plain, train, objective, alone, directory=tmp_path / "plain", seed=0, progress=Progress("test"))
    steps = [*seen[1:], plain.state_dict()["readout.weight"]]
    average = steps[0].clone()
    for weights in steps[1:]:
        average = 0.9 * average + 0.1 * weights
    torch.testing.assert_close(model.state_dict()["readout.weight"], average)


def test_a_run_that_was_stopped_goes_on_with_its_average(
    prepared: Prepared, train: TensorRows, objective: Objective, tmp_path: Path
) -> None:
    class Stopped(Progress):
        def epoch_done(self, metrics: object, *, best_epoch: int) -> None:
            raise KeyboardInterrupt(metrics, best_epoch)

    for folder in ("whole", "halved"):
        (tmp_path / folder).mkdir()
    whole, halved = model_for(prepared), model_for(prepared)
    fit(whole, train, objective, OPTIONS, directory=tmp_path / "whole", seed=0, progress=Progress("test"))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(halved, train, objective, OPTIONS, directory=tmp_path / "halved", seed=0, progress=Stopped("test"))
        halved = model_for(prepared)
    fit(halved, train, objective, OPTIONS, directory=tmp_path / "halved", seed=0, progress=Progress("test"))
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(halved.state_dict()[name], tensor, rtol=0, atol=0)
