"""Every serving form of a teacher gives the model's own logits, in torch already, at the cost its docstring says."""

from typing import Any

import numpy as np
import pytest
import torch

from export.flops import executed_multiplications
from export.forms import serving_forms
from export.graph import to_onnx
from export.parity import model_logits, random_ids
from training.models.base import CTRModel
from training.models.registry import build

SIZES = [7, 5, 4, 9, 6]
FIELDS, CONTEXT, DIMENSION = 5, 3, 4
X, XC, XX, FX = FIELDS * DIMENSION, CONTEXT * DIMENSION, (FIELDS - CONTEXT) * DIMENSION, FIELDS - CONTEXT

CASES: list[tuple[str, dict[str, Any]]] = [
    ("crossnet", {"layers": 2}),
    ("crossnet", {"layers": 4}),
    ("cin", {"maps": [5, 3]}),
    ("cin", {"maps": [5, 3, 4, 2]}),
    ("xdeepfm", {"maps": [5, 3, 4], "hidden": [6]}),
    ("xdeepfm", {"maps": [5, 3], "hidden": [6, 5, 4]}),
]


def teacher(name: str, options: dict[str, Any]) -> CTRModel:
    """A teacher in double precision whose every weight counts."""
    torch.manual_seed(3)
    model = build(name, {"embedding_size": DIMENSION, **options}, SIZES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.double()


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("context_fields", [1, 3, 4])
def test_the_context_once_form_is_exact(name: str, options: dict[str, Any], context_fields: int) -> None:
    model = teacher(name, options)
    form = serving_forms(model, context_fields)["context_once"].double()
    for rows in (1, 9):
        context_ids = random_ids(SIZES[:context_fields], 1, seed=0)
        candidate_ids = random_ids(SIZES[context_fields:], rows, seed=1)
        expected_N = model_logits(model, context_ids, candidate_ids)
        found_N = form(torch.from_numpy(context_ids), torch.from_numpy(candidate_ids)).detach().numpy()
        np.testing.assert_allclose(found_N, expected_N, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_without_context_fields_only_whole_rows_are_left(name: str, options: dict[str, Any]) -> None:
    assert set(serving_forms(teacher(name, options), 0)) == {"full_rows"}


@pytest.mark.parametrize(
    ("name", "options"),
    [("crossnet", {"layers": 1}), ("cin", {"maps": [5]}), ("xdeepfm", {"maps": [5], "hidden": [6]})],
)
def test_a_single_layer_has_no_form_of_its_own(name: str, options: dict[str, Any]) -> None:
    assert set(serving_forms(teacher(name, options), 3)) == {"full_rows"}


def cost(name: str, options: dict[str, Any], rows: int) -> int:
    form = serving_forms(teacher(name, options), CONTEXT)["context_once"].float()
    return executed_multiplications(to_onnx(form, CONTEXT, FX), np.zeros((1, CONTEXT), np.int32), rows)


def cin_cost(rows: int) -> int:
    """Maps 5, 3, 4: the first layer's pairs, one later layer, the folded last one; pooled maps of the first two."""
    once = CONTEXT**2 * DIMENSION * (1 + 5) + 5 * FX * CONTEXT * DIMENSION
    once += 3 * 5 * CONTEXT * DIMENSION + 3 * CONTEXT * DIMENSION
    pairs = FX * (FX + 1) // 2
    each = DIMENSION * (pairs + 5 * pairs + 5 * FX) + 5 * DIMENSION
    each += DIMENSION * (3 * 5 + FX * (5 + 3 * 5)) + 3 * DIMENSION
    each += DIMENSION * (3 * FX + 3 + 3)
    return once + rows * each


@pytest.mark.parametrize("rows", [1, 10])
def test_a_crossnet_pays_for_its_candidates_columns_in_the_first_and_the_last_layer(rows: int) -> None:
    once = 2 * X * XC
    each = 2 * X * XX + X + (X * X + X) + X + 2 * X
    assert cost("crossnet", {"layers": 3}, rows) == once + rows * each


@pytest.mark.parametrize("rows", [1, 10])
def test_to_a_cin_the_context_is_one_field(rows: int) -> None:
    assert cost("cin", {"maps": [5, 3, 4]}, rows) == cin_cost(rows)


@pytest.mark.parametrize("rows", [1, 10])
def test_an_xdeepfm_pays_for_its_parts(rows: int) -> None:
    perceptron = 6 * XC + rows * (6 * XX + 6 * 4 + 4)
    assert cost("xdeepfm", {"maps": [5, 3, 4], "hidden": [6, 4]}, rows) == cin_cost(rows) + perceptron
