"""Models that sum parts over the same embeddings: the context once gives their own logits, at the stated cost."""

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
    ("fm", {}),
    ("ffm", {}),
    ("fwfm", {}),
    ("fmfm", {}),
    ("dnn", {"hidden": [6]}),
    ("dnn", {"hidden": [6, 5]}),
    ("wide_deep", {"hidden": [6, 5]}),
    ("deepfm", {"hidden": [6, 5]}),
    ("dcn", {"hidden": [6], "layers": 1}),
    ("dcn", {"hidden": [6, 5], "layers": 3}),
    ("dcnv2", {"hidden": [6, 5], "layers": 3}),
    ("crossnet", {"layers": 2}),
    ("crossnet", {"layers": 4}),
    ("cin", {"maps": [5, 3]}),
    ("cin", {"maps": [5, 3, 4, 2]}),
    ("xdeepfm", {"maps": [5, 3, 4], "hidden": [6]}),
    ("xdeepfm", {"maps": [5, 3], "hidden": [6, 5, 4]}),
]


def model_of(name: str, options: dict[str, Any]) -> CTRModel:
    """A model in double precision whose every weight counts."""
    torch.manual_seed(3)
    model = build(name, {"embedding_size": DIMENSION, **options}, SIZES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.double()


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("context_fields", [1, 3, 4])
def test_the_context_once_form_is_exact(name: str, options: dict[str, Any], context_fields: int) -> None:
    model = model_of(name, options)
    form = serving_forms(model, context_fields)["context_once"].double()
    for rows in (1, 9):
        context_ids = random_ids(SIZES[:context_fields], 1, seed=0)
        candidate_ids = random_ids(SIZES[context_fields:], rows, seed=1)
        expected_N = model_logits(model, context_ids, candidate_ids)
        found_N = form(torch.from_numpy(context_ids), torch.from_numpy(candidate_ids)).detach().numpy()
        np.testing.assert_allclose(found_N, expected_N, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_without_context_fields_only_whole_rows_are_left(name: str, options: dict[str, Any]) -> None:
    assert set(serving_forms(model_of(name, options), 0)) == {"full_rows"}


SINGLE: list[tuple[str, dict[str, Any]]] = [
    ("crossnet", {"layers": 1}),
    ("cin", {"maps": [5]}),
    ("xdeepfm", {"maps": [5], "hidden": [6]}),
    ("dcnv2", {"hidden": [6], "layers": 1}),
    ("dcnv2", {"hidden": [6], "layers": 2, "structure": "stacked"}),
]


@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_a_single_layer_or_one_under_a_perceptron_has_no_form_of_its_own(name: str, options: dict[str, Any]) -> None:
    assert set(serving_forms(model_of(name, options), 3)) == {"full_rows"}


def cin_cost() -> tuple[int, int]:
    """Maps 5, 3, 4: the first layer's pairs, one later layer, the folded last one; pooled maps of the first two."""
    once = CONTEXT**2 * DIMENSION * (1 + 5) + 5 * FX * CONTEXT * DIMENSION
    once += 3 * 5 * CONTEXT * DIMENSION + 3 * CONTEXT * DIMENSION
    pairs = FX * (FX + 1) // 2
    each = DIMENSION * (pairs + 5 * pairs + 5 * FX) + 5 * DIMENSION
    each += DIMENSION * (3 * 5 + FX * (5 + 3 * 5)) + 3 * DIMENSION
    each += DIMENSION * (3 * FX + 3 + 3)
    return once, each


# once, each: by hand
CROSSNET_COST = (2 * X * XC, 2 * X * XX + X + (X * X + X) + X + 2 * X)
FM_COST = (DIMENSION + XC + 1, 2 * (DIMENSION + XX))
MLP_COST = (6 * XC, 6 * XX + 6 * 5 + 5)
COSTS: list[tuple[str, dict[str, Any], int, int]] = [
    ("fm", {}, *FM_COST),
    ("ffm", {}, 2 * CONTEXT**2 * DIMENSION, FX * FIELDS * DIMENSION + 2 * DIMENSION),
    ("fwfm", {}, CONTEXT * XC + XC + FX * XC, FX * XX + 2 * XX),
    ("fmfm", {}, XC * XC + XC + XX * XC, XX * XX + 2 * XX),
    ("dnn", {"hidden": [6, 5]}, *MLP_COST),
    ("wide_deep", {"hidden": [6, 5]}, *MLP_COST),
    ("deepfm", {"hidden": [6, 5]}, FM_COST[0] + MLP_COST[0], FM_COST[1] + MLP_COST[1]),
    ("dcn", {"hidden": [6, 5], "layers": 3}, 4 * XC + MLP_COST[0], 4 * XX + 4 + MLP_COST[1]),
    ("dcnv2", {"hidden": [6, 5], "layers": 3}, CROSSNET_COST[0] + MLP_COST[0], CROSSNET_COST[1] + MLP_COST[1]),
    ("crossnet", {"layers": 3}, *CROSSNET_COST),
    ("cin", {"maps": [5, 3, 4]}, *cin_cost()),
    ("xdeepfm", {"maps": [5, 3, 4], "hidden": [6, 5]}, cin_cost()[0] + MLP_COST[0], cin_cost()[1] + MLP_COST[1]),
]


@pytest.mark.parametrize(("name", "options", "once", "each"), COSTS)
def test_a_request_costs_its_context_once_and_its_candidates_n_times(
    name: str, options: dict[str, Any], once: int, each: int
) -> None:
    form = serving_forms(model_of(name, options), CONTEXT)["context_once"].float()
    graph = to_onnx(form, CONTEXT, FX)
    for rows in (1, 10):
        found = executed_multiplications(graph, np.zeros((1, CONTEXT), np.int32), rows)
        assert found == once + rows * each
