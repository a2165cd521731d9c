"""Every serving form gives the model's own logits, in torch already."""

import numpy as np
import pytest
import torch

from export.forms import serving_forms
from export.parity import model_logits, random_ids
from training.models.base import CTRModel
from training.models.registry import build

SIZES = [7, 5, 4, 9, 6]
STUDENTS = ["dagfm_inner", "dagfm_outer"]


def student(name: str, connect: str = "triangular") -> CTRModel:
    """A student in double precision whose every weight counts, the connection's too."""
    torch.manual_seed(3)
    model = build(name, {"embedding_size": 4, "layers": 3, "connect": connect}, SIZES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.double()


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("connect", ["triangular", "identity"])
@pytest.mark.parametrize("context_fields", [1, 3, 4])
def test_the_context_once_forms_are_exact(name: str, connect: str, context_fields: int) -> None:
    model = student(name, connect)
    context_ids = random_ids(SIZES[:context_fields], 1, seed=0)
    candidate_ids = random_ids(SIZES[context_fields:], 9, seed=1)
    expected_N = model_logits(model, context_ids, candidate_ids)
    forms = serving_forms(model, context_fields)
    assert "context_once" in forms
    for form_name, form in forms.items():
        # The kernels' identity blocks are made in single precision; casting them is exact.
        found_N = form.double()(torch.from_numpy(context_ids), torch.from_numpy(candidate_ids))
        np.testing.assert_allclose(found_N.detach().numpy(), expected_N, rtol=0, atol=1e-9, err_msg=form_name)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_dense_connection_leaves_the_full_row_form_alone(name: str) -> None:
    """It mixes candidates into the context's states, so computing the context once would be wrong."""
    assert set(serving_forms(student(name, "dense"), 3)) == {"full_rows"}


@pytest.mark.parametrize("name", STUDENTS)
def test_without_context_fields_there_is_nothing_to_compute_once(name: str) -> None:
    assert set(serving_forms(student(name), 0)) == {"full_rows"}


def test_a_teacher_has_the_full_row_form() -> None:
    model = build("crossnet", {"embedding_size": 4, "layers": 2}, SIZES)
    assert set(serving_forms(model, 3)) == {"full_rows"}
