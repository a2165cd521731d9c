"""What must hold of every registered model, whatever its name."""

import pytest
import torch

from training.models.base import CTRModel
from training.models.registry import build, example_options, model_class, names, register

SIZES = [5, 4, 3, 6]


def tiny_model(name: str, seed: int = 0) -> CTRModel:
    torch.manual_seed(seed)
    return build(name, example_options(name), SIZES)


def tiny_ids(rows: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(0, size, (rows,), generator=generator) for size in SIZES], dim=1).int()


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_model_gives_one_finite_logit_per_row(name: str) -> None:
    logits_B = tiny_model(name)(tiny_ids(7))
    assert logits_B.shape == (7,)
    assert torch.isfinite(logits_B).all()


def test_rows_are_scored_independently(name: str) -> None:
    model, ids_BF = tiny_model(name), tiny_ids(5)
    alone_B = torch.cat([model(ids_BF[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(alone_B, model(ids_BF))


def test_permuting_rows_permutes_logits(name: str) -> None:
    model, ids_BF, order = tiny_model(name), tiny_ids(6), torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(model(ids_BF[order]), model(ids_BF)[order])


def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    model = tiny_model(name)
    (model(tiny_ids(64)) ** 2).sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name


def test_a_state_dict_brings_back_the_same_logits(name: str) -> None:
    model, other = tiny_model(name, seed=0), tiny_model(name, seed=1)
    ids_BF = tiny_ids(5)
    assert not torch.allclose(model(ids_BF), other(ids_BF))
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(ids_BF), other(ids_BF), rtol=0, atol=0)


def test_counted_parameters_are_those_of_the_modules_less_absent_edges(name: str) -> None:
    model = tiny_model(name)
    stored = sum(parameter.numel() for parameter in model.parameters())
    absent = sum(
        int((module.mask_FF == 0).sum()) * module.edge_parameters()
        for module in model.modules()
        if hasattr(module, "mask_FF")
    )
    absent += int((model.connect_mask_FF == 0).sum()) if hasattr(model, "connect_mask_FF") else 0
    assert model.parameter_count() == stored - absent


def test_an_option_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no_such_option"):
        build(name, {**tiny_model(name).options.model_dump(), "no_such_option": 1}, SIZES)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'crossnet'"):
        model_class("crosnet")


def test_a_name_cannot_be_taken_twice() -> None:
    with pytest.raises(RuntimeError, match="registered twice"):
        register("crossnet")(model_class("cin"))
