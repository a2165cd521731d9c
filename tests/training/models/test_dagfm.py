from typing import Any

import numpy as np
import pytest
import torch

from training.models.dagfm import DAGFM
from training.models.registry import build

SIZES = [4, 3, 5, 2]
STUDENTS = ["dagfm_inner", "dagfm_outer", "dagfm_full", "dagfm_plain"]


def student(name: str, **options: Any) -> DAGFM:
    torch.manual_seed(0)
    model = build(name, {"embedding_size": 3, "layers": 2, **options}, SIZES)
    assert isinstance(model, DAGFM)
    torch.nn.init.normal_(model.connect_FF)
    return model


@pytest.mark.parametrize("name", STUDENTS)
def test_the_logit_is_linear_in_the_sums_of_states(name: str) -> None:
    """Eq. 7: every layer's states summed over d, one weight per (order, field), one bias."""
    model = student(name)
    embedded_BFD = torch.randn(5, 4, 3)
    weights_TF = model.readout.weight.detach().numpy().reshape(3, 4)
    expected = np.full(5, model.readout.bias.item())
    for weights_F, state_BFD in zip(weights_TF, model.states(embedded_BFD), strict=True):
        expected += state_BFD.detach().numpy().sum(axis=2) @ weights_F
    np.testing.assert_allclose(model.interact(embedded_BFD).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(("connect", "free"), [("triangular", True), ("identity", True), ("dense", False)])
def test_context_states_are_free_of_candidates_unless_the_connection_is_dense(
    name: str, connect: str, free: bool
) -> None:
    model = student(name, connect=connect)
    embedded_BFD = torch.randn(1, 4, 3)
    changed_BFD = embedded_BFD.clone()
    changed_BFD[:, 2:] += 1.0
    pairs = zip(model.states(embedded_BFD), model.states(changed_BFD), strict=True)
    same = all(torch.equal(before[:, :2], after[:, :2]) for before, after in pairs)
    assert same is free


@pytest.mark.parametrize("name", STUDENTS)
def test_an_untrained_connection_is_the_identity(name: str) -> None:
    model = build(name, {"embedding_size": 3, "layers": 2}, SIZES)
    assert isinstance(model, DAGFM)
    embedded_BFD = torch.randn(2, 4, 3)
    torch.testing.assert_close(model.base(embedded_BFD), embedded_BFD)
