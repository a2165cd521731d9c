"""Every serving form of a student gives the model's own logits, in torch already."""

import numpy as np
import pytest
import torch

from export.forms import serving_forms
from export.parity import model_logits, random_ids
from training.models.base import CTRModel
from training.models.registry import build

SIZES = [7, 5, 4, 9, 6]
STUDENTS = {
    "dagfm_inner": ["dense", "per_dimension"],
    "dagfm_outer": ["dense", "rank_one"],
    "dagfm_full": ["dense"],
    "dagfm_plain": ["prefix_sums"],
    "dagfm_plus_inner": ["dense", "per_dimension"],
    "dagfm_plus_outer": ["dense", "rank_one"],
}
"""The ways each sends its messages; the last one is its own."""


def student(name: str, connect: str = "triangular", layers: int = 3) -> CTRModel:
    """A student in double precision whose every weight counts, the connection's too."""
    torch.manual_seed(3)
    hidden = {"hidden": [6, 5]} if "plus" in name else {}
    model = build(name, {"embedding_size": 4, "layers": layers, "connect": connect, **hidden}, SIZES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.double()


def assert_exact(model: CTRModel, context_fields: int) -> None:
    for rows in (1, 9):
        context_ids = random_ids(SIZES[:context_fields], 1, seed=0)
        candidate_ids = random_ids(SIZES[context_fields:], rows, seed=1)
        expected_N = model_logits(model, context_ids, candidate_ids)
        for form_name, form in serving_forms(model, context_fields).items():
            found_N = form.double()(torch.from_numpy(context_ids), torch.from_numpy(candidate_ids))
            np.testing.assert_allclose(found_N.detach().numpy(), expected_N, rtol=0, atol=1e-9, err_msg=form_name)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("connect", ["triangular", "identity"])
@pytest.mark.parametrize("context_fields", [1, 3, 4])
def test_every_form_is_exact(name: str, connect: str, context_fields: int) -> None:
    model = student(name, connect)
    assert set(serving_forms(model, context_fields)) == {
        *("full_rows", f"folded_rows_{STUDENTS[name][-1]}"),
        *(f"context_once_{way}" for way in STUDENTS[name]),
    }
    assert_exact(model, context_fields)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("layers", [1, 2])
def test_every_form_is_exact_where_the_last_layer_is_also_the_first_or_the_second(name: str, layers: int) -> None:
    assert_exact(student(name, layers=layers), 3)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_dense_connection_leaves_the_forms_of_whole_rows_alone(name: str) -> None:
    """It mixes candidates into the context's states, so computing the context once would be wrong."""
    model = student(name, "dense")
    assert set(serving_forms(model, 3)) == {"full_rows", f"folded_rows_{STUDENTS[name][-1]}"}
    assert_exact(model, 3)


@pytest.mark.parametrize("name", STUDENTS)
def test_without_context_fields_there_is_nothing_to_compute_once(name: str) -> None:
    model = student(name)
    assert set(serving_forms(model, 0)) == {"full_rows", f"folded_rows_{STUDENTS[name][-1]}"}
    assert_exact(model, 0)
