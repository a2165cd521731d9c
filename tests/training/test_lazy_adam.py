"""Lazy Adam against the equation row by row, against dense Adam, and through a checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.lazy_adam import Touched
from training.loop import fit
from training.models.base import CTRModel
from training.models.registry import build
from training.objective import click_objective
from training.optimizers import optimizer_of
from training.options import FitOptions
from training.progress import Progress

SIZES = [6, 5, 4]
LAZY = FitOptions(
    learning_rate=0.05, weight_decay=0.1, batch_size=8, max_epochs=4, patience=4, embedding_updates="lazy"
)
DENSE = LAZY.model_copy(update={"embedding_updates": "dense"})


def model_for(sizes: list[int]) -> CTRModel:
    torch.manual_seed(0)
    return build("deepfm", {"embedding_size": 3, "hidden": [4]}, sizes)


def batches(count: int, rows: int = 8) -> list[Tensor]:
    """Ids with repeats within a batch, and ids that no batch has."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.stack([torch.randint(0, size - 1, (rows,), generator=generator) for size in SIZES], 1).int()
        for _ in range(count)
    ]


def train(model: CTRModel, options: FitOptions, steps: list[Tensor]) -> list[dict[str, Tensor]]:
    """Steps of the model for some loss; the gradients that dense tables would have had, step by step."""
    optimizer, gradients = optimizer_of(model, options), []
    for ids_BF in steps:
        optimizer.zero_grad()
        (model(ids_BF) - 1).square().mean().backward()
        gradients.append(
            {name: p.grad.to_dense().clone() for name, p in model.named_parameters() if p.grad is not None}
        )
        optimizer.step()
    return gradients


def adam_row_by_row(table_VD: np.ndarray, gradients: list[np.ndarray], touched: list[set[int]]) -> np.ndarray:
    """The equation in loops, float64."""
    table_VD = table_VD.astype(np.float64)
    means, squares = np.zeros_like(table_VD), np.zeros_like(table_VD)
    for step, (gradient_VD, rows) in enumerate(zip(gradients, touched, strict=True), start=1):
        for row in rows:
            gradient_D = gradient_VD[row] + LAZY.weight_decay * table_VD[row]
            means[row] = 0.9 * means[row] + 0.1 * gradient_D
            squares[row] = 0.999 * squares[row] + 0.001 * gradient_D**2
            mean_D, square_D = means[row] / (1 - 0.9**step), squares[row] / (1 - 0.999**step)
            table_VD[row] -= LAZY.learning_rate * mean_D / (np.sqrt(square_D) + 1e-8)
    return table_VD


@pytest.mark.parametrize("name", ["embedding", "linear"])
def test_the_rows_of_a_batch_are_updated_as_the_equation_says_and_no_others(name: str) -> None:
    model, steps = model_for(SIZES), batches(6)
    before_VD = model.get_submodule(name).weight_VD.detach().numpy().copy()
    gradients = [step[f"{name}.weight_VD"].numpy() for step in train(model, LAZY, steps)]
    touched = [set((ids_BF + model.embedding.offsets_F).flatten().tolist()) for ids_BF in steps]
    after_VD = model.get_submodule(name).weight_VD.detach().numpy()
    np.testing.assert_allclose(after_VD, adam_row_by_row(before_VD, gradients, touched), rtol=1e-4, atol=1e-6)
    never = sorted(set(range(sum(SIZES))) - set.union(*touched))
    assert len(never) >= 3
    np.testing.assert_array_equal(after_VD[never], before_VD[never])


def test_with_every_row_in_every_batch_lazy_is_dense() -> None:
    every_BF = torch.tensor([[i % size for size in SIZES] for i in range(max(SIZES))], dtype=torch.int32)
    lazy, dense = model_for(SIZES), model_for(SIZES)
    train(lazy, LAZY, [every_BF] * 5)
    train(dense, DENSE, [every_BF] * 5)
    for (name, one), other in zip(lazy.named_parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6, msg=name)


def test_what_is_no_table_is_trained_as_before() -> None:
    """One step, so that both see the same gradients."""
    lazy, dense = model_for(SIZES), model_for(SIZES)
    train(lazy, LAZY, batches(1))
    train(dense, DENSE, batches(1))
    torch.testing.assert_close(lazy.get_parameter("mlp.hidden.0.weight"), dense.get_parameter("mlp.hidden.0.weight"))


def test_touched_rows_are_found_with_all_their_occurrences() -> None:
    touched = Touched.of(torch.tensor([7, 2, 7, 9, 2, 7]))
    assert touched.rows_U.tolist() == [2, 7, 9]
    values_TD = torch.tensor([[1.0], [10.0], [2.0], [100.0], [20.0], [4.0]])
    assert touched.sums(values_TD).flatten().tolist() == [30.0, 7.0, 100.0]


def test_a_table_that_is_read_twice_in_a_step_gets_both_gradients() -> None:
    model, (first_BF, second_BF) = model_for(SIZES), batches(2)
    whole = model_for(SIZES)
    for trained, options in ((model, LAZY), (whole, DENSE)):
        optimizer = optimizer_of(trained, options.model_copy(update={"weight_decay": 0.0}))
        (trained(first_BF).sum() + trained(second_BF).sum()).backward()
        optimizer.step()
    torch.testing.assert_close(model.embedding.weight_VD, whole.embedding.weight_VD)


def test_a_frozen_table_has_no_gradient_and_a_model_trained_densely_afterwards_has_a_dense_one() -> None:
    model = model_for(SIZES)
    model.embedding.weight_VD.requires_grad_(False)
    assert "embedding.weight_VD" not in train(model, LAZY, batches(1))[0]
    optimizer_of(model, DENSE)
    model(batches(1)[0]).sum().backward()
    assert not model.linear.weight_VD.grad.is_sparse


def test_an_unfinished_lazy_run_continues_to_the_same_weights(prepared: Prepared, tmp_path: Path) -> None:
    """Four epochs at once, and one, then three from its state."""
    rows = TensorRows.of(prepared.rows("train"))
    objective = click_objective(rows, TensorRows.of(prepared.rows("validation")))
    options = LAZY.model_copy(update={"batch_size": 256, "learning_rate": 3e-3, "weight_decay": 1e-5})
    results = []
    for folder, epochs in (("whole", [4]), ("parts", [1, 4])):
        for until in epochs:
            model = model_for(prepared.encoder.sizes)
            (tmp_path / folder).mkdir(exist_ok=True)
            cut = options.model_copy(update={"max_epochs": until})
            fit(model, rows, objective, cut, directory=tmp_path / folder, seed=0, progress=Progress("test"))
        results.append(((tmp_path / folder / "metrics.jsonl").read_text(), model.state_dict()))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(tensor, results[1][1][name]) for name, tensor in results[0][1].items())
