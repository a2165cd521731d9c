from pathlib import Path

import pytest
import torch

from training.config import FitOptions
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.denormals import are_flushed, denormals_flushed
from training.loop import DivergedError, fit
from training.models.base import CTRModel
from training.models.registry import build
from training.objective import Objective, click_objective
from training.progress import Progress


def product() -> float:
    return float(torch.tensor([1e-20, 1e-20]) @ torch.tensor([1e-20, 0.0]))


def test_numbers_that_float32_has_not_in_full_are_zero_inside_and_come_back_after() -> None:
    assert product() > 0
    with denormals_flushed():
        assert product() == 0
        assert are_flushed()
        with denormals_flushed():
            pass
        assert are_flushed(), "the inner one leaves what it found"
    assert product() > 0


def test_they_come_back_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="stop"), denormals_flushed():
        raise RuntimeError("stop")
    assert not are_flushed()


@pytest.mark.parametrize("diverges", [False, True])
def test_a_training_takes_them_for_zero_forward_backward_and_in_validation(
    prepared: Prepared, tmp_path: Path, diverges: bool
) -> None:
    rows = TensorRows.of(prepared.rows("validation"))
    model = build("fm", {"embedding_size": 2}, prepared.encoder.sizes)
    clicks, seen = click_objective(rows, rows), set[tuple[str, bool]]()

    def loss(model: CTRModel, ids_BF: torch.Tensor, rows_B: torch.Tensor) -> torch.Tensor:
        seen.add(("forward", are_flushed()))
        made: torch.Tensor = clicks.loss(model, ids_BF, rows_B)
        made.register_hook(lambda _: seen.add(("backward", are_flushed())))
        return made * (float("nan") if diverges else 1.0)

    def metrics(model: CTRModel) -> dict[str, float]:
        seen.add(("validation", are_flushed()))
        return clicks.metrics(model)

    objective = Objective(loss=loss, metrics=metrics, decides="auc")
    options = FitOptions(learning_rate=1e-3, weight_decay=0.0, batch_size=256, max_epochs=1, patience=1)
    expected = {("forward", True), ("backward", True), ("validation", True)}
    try:
        fit(model, rows, objective, options, directory=tmp_path, seed=0, progress=Progress("test"))
    except DivergedError:
        expected -= {("validation", True)}
    assert seen == expected
    assert not are_flushed()
