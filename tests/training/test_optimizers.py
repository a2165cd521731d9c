"""Adam's groups: tables may decay on their own."""

import torch

from training.config import FitOptions
from training.models.registry import build
from training.optimizers import optimizer_of

OPTIONS = FitOptions(learning_rate=0.1, weight_decay=0.5, batch_size=1, max_epochs=1, patience=1)


def decays(options: FitOptions) -> dict[str, float]:
    """The weight decay each parameter of a small xDeepFM gets, by name."""
    model = build("xdeepfm", {"embedding_size": 2, "maps": [2], "hidden": [3]}, [4, 3])
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = optimizer_of(model, options).param_groups
    return {names[id(parameter)]: group["weight_decay"] for group in groups for parameter in group["params"]}


def test_every_parameter_decays_alike_unless_tables_have_a_decay_of_their_own() -> None:
    assert set(decays(OPTIONS).values()) == {0.5}
    apart = decays(OPTIONS.model_copy(update={"embedding_weight_decay": 0.25}))
    assert {name for name, decay in apart.items() if decay == 0.25} == {"embedding.weight_VD", "linear.weight_VD"}
    assert len(apart) > 5


def test_a_frozen_table_has_no_place_in_the_optimiser() -> None:
    model = build("crossnet", {"embedding_size": 2, "layers": 1}, [4, 3])
    model.embedding.weight_VD.requires_grad_(False)
    groups = optimizer_of(model, OPTIONS).param_groups
    assert all(parameter is not model.embedding.weight_VD for group in groups for parameter in group["params"])
    assert len(groups) == 1


def test_the_l2_term_is_inside_adams_gradient() -> None:
    """With no other gradient the first step is the sign of the weight times the step size: not a shrinking by decay."""
    model = build("crossnet", {"embedding_size": 2, "layers": 1}, [4, 3])
    before_VD = model.embedding.weight_VD.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer_of(model, OPTIONS).step()
    torch.testing.assert_close(model.embedding.weight_VD.detach(), before_VD - 0.1 * before_VD.sign())
