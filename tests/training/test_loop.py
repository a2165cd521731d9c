import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training.checkpoint import load_tensors
from training.config import FitOptions
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.loop import DivergedError, fit, learning_rate
from training.models.base import CTRModel
from training.models.registry import build
from training.objective import Objective, click_objective, predict
from training.progress import Progress
from training.state import History

OPTIONS = FitOptions(learning_rate=3e-3, weight_decay=0.0, batch_size=256, max_epochs=4, patience=2)


@pytest.fixture
def train(prepared: Prepared) -> TensorRows:
    return TensorRows.of(prepared.rows("train"))


@pytest.fixture
def validation(prepared: Prepared) -> TensorRows:
    return TensorRows.of(prepared.rows("validation"))


def model_for(prepared: Prepared) -> CTRModel:
    torch.manual_seed(0)
    return build("crossnet", {"embedding_size": 4, "layers": 1}, prepared.encoder.sizes)


def test_the_model_ends_with_the_weights_of_its_best_epoch(
    prepared: Prepared, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    model = model_for(prepared)
    options = OPTIONS.model_copy(update={"learning_rate": 0.05, "max_epochs": 8})
    objective = click_objective(train, validation)
    history = fit(model, train, objective, options, directory=tmp_path, seed=0, progress=Progress("test"))
    aucs = [epoch["validation_auc"] for epoch in history.epochs]
    assert history.best_epoch == int(np.argmax(aucs)) < len(aucs) - 1, "the test needs a best epoch before the last"
    assert objective.metrics(model)["auc"] == max(aucs)


def test_every_epoch_is_one_line_of_metrics(
    prepared: Prepared, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    objective = click_objective(train, validation)
    model, progress = model_for(prepared), Progress("test")
    history = fit(model, train, objective, OPTIONS, directory=tmp_path, seed=0, progress=progress)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == history.epochs
    assert [line["epoch"] for line in lines] == list(range(len(lines)))


def poisoned(good: Objective, after: int) -> Objective:
    """The objective with a loss of NaN from the batch after `after` on."""
    batches = []

    def loss(model: CTRModel, ids_BF: Tensor, rows_B: Tensor) -> Tensor:
        batches.append(len(rows_B))
        return good.loss(model, ids_BF, rows_B) * (float("nan") if len(batches) > after else 1.0)

    return Objective(loss=loss, metrics=good.metrics, decides="auc")


def test_a_loss_that_is_not_finite_stops_the_run_at_a_step_it_names(
    prepared: Prepared, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    """Thirteen batches an epoch: the 21st is the eighth of the second."""
    objective = poisoned(click_objective(train, validation), after=20)
    with pytest.raises(DivergedError, match=r"loss is nan at step 8 of epoch 1; the 1 epochs before it are kept"):
        fit(model_for(prepared), train, objective, OPTIONS, directory=tmp_path, seed=0, progress=Progress("test"))
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_diverged_run_keeps_its_last_good_epoch_and_goes_on_from_it(
    prepared: Prepared, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    good = click_objective(train, validation)
    undisturbed, diverged = tmp_path / "undisturbed", tmp_path / "diverged"
    for folder, objective in ((undisturbed, good), (diverged, poisoned(good, after=20))):
        folder.mkdir()
        with nullcontext() if objective is good else pytest.raises(DivergedError):
            fit(model_for(prepared), train, objective, OPTIONS, directory=folder, seed=0, progress=Progress("test"))
    tensors, meta = load_tensors(diverged / "last.safetensors")
    assert len(meta["history"]["epochs"]) == 1
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    fit(model_for(prepared), train, good, OPTIONS, directory=diverged, seed=0, progress=Progress("test"))
    assert (diverged / "metrics.jsonl").read_text() == (undisturbed / "metrics.jsonl").read_text()


def test_weights_spoilt_by_an_epochs_last_update_are_not_kept(
    prepared: Prepared, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    """Every loss is finite, for each is computed before its update; only validation sees what the last one did."""
    options = OPTIONS.model_copy(update={"max_steps_per_epoch": 1})
    good = click_objective(train, validation)

    def loss(model: CTRModel, ids_BF: Tensor, rows_B: Tensor) -> Tensor:
        value = good.loss(model, ids_BF, rows_B)
        value.register_hook(lambda gradient: gradient * float("nan"))
        return value

    objective = Objective(loss=loss, metrics=good.metrics, decides="auc")
    with pytest.raises(DivergedError, match=r"validation log_loss is nan after step 1 of epoch 0; the 0 epochs"):
        fit(model_for(prepared), train, objective, options, directory=tmp_path, seed=0, progress=Progress("test"))
    assert not (tmp_path / "last.safetensors").exists()


def test_frozen_parameters_stay_as_they_are(
    prepared: Prepared, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    model = model_for(prepared)
    model.embedding.weight_VD.requires_grad_(False)
    before_VD = model.embedding.weight_VD.clone()
    objective = click_objective(train, validation)
    fit(model, train, objective, OPTIONS, directory=tmp_path, seed=0, progress=Progress("test"))
    torch.testing.assert_close(model.embedding.weight_VD, before_VD, rtol=0, atol=0)


def test_logits_do_not_depend_on_how_rows_are_batched(prepared: Prepared, validation: TensorRows) -> None:
    model, ids_NF = model_for(prepared), validation.ids_NF
    torch.testing.assert_close(
        predict(model, ids_NF), torch.cat([predict(model, ids_NF[:7]), predict(model, ids_NF[7:])])
    )


def test_patience_counts_epochs_without_a_better_one() -> None:
    history = History()
    for epoch, auc in enumerate([0.5, 0.7, 0.6]):
        history.add({"epoch": epoch}, auc)
    assert not history.exhausted(OPTIONS)
    history.add({"epoch": 3}, 0.69)
    assert history.exhausted(OPTIONS.model_copy(update={"max_epochs": 100}))


def test_linear_decay_ends_at_zero() -> None:
    options = OPTIONS.model_copy(update={"decay": "linear"})
    assert learning_rate(options, 0.0) == options.learning_rate
    assert learning_rate(options, 2.0) == pytest.approx(options.learning_rate / 2)
    assert learning_rate(options, 4.0) == 0.0
    assert learning_rate(OPTIONS, 3.9) == OPTIONS.learning_rate


def test_a_metric_that_should_be_low_decides_by_its_minimum(
    prepared: Prepared, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    clicks = click_objective(train, validation)
    objective = Objective(loss=clicks.loss, metrics=clicks.metrics, decides="log_loss", higher_is_better=False)
    options = OPTIONS.model_copy(update={"learning_rate": 0.05, "max_epochs": 8, "patience": 8})
    model = model_for(prepared)
    history = fit(model, train, objective, options, directory=tmp_path, seed=0, progress=Progress("test"))
    losses = [epoch["validation_log_loss"] for epoch in history.epochs]
    assert history.best_epoch == int(np.argmin(losses)) < len(losses) - 1


def test_metrics_lost_between_state_and_file_are_written_again_on_resume(
    prepared: Prepared, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    """A kill may come after the state is saved and before its metrics are: the finished run must still have them."""
    objective, progress = click_objective(train, validation), Progress("test")
    arguments = (train, objective, OPTIONS)
    fit(model_for(prepared), *arguments, directory=tmp_path, seed=0, progress=progress)
    complete = (tmp_path / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").unlink()
    fit(model_for(prepared), *arguments, directory=tmp_path, seed=0, progress=progress)
    assert (tmp_path / "metrics.jsonl").read_text() == complete
