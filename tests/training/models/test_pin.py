from itertools import combinations

import numpy as np
import torch

from training.models.pin import PIN
from training.models.registry import build

SIZES = [4, 3, 5, 2]
OPTIONS = {"embedding_size": 2, "micro": [4, 3], "hidden": [5, 3]}


def pin() -> PIN:
    torch.manual_seed(0)
    model = build("pin", OPTIONS, SIZES).double()
    assert isinstance(model, PIN)
    torch.nn.init.normal_(model.embedding.weight_VD)
    for linear in (*model.mlp.linears, model.mlp.output):
        torch.nn.init.normal_(linear.bias)
    for parameter in (*model.micro.gains, *model.micro.shifts):
        torch.nn.init.normal_(parameter)
    return model


def slow_micro(model: PIN, states: list[np.ndarray]) -> list[np.ndarray]:
    """All micro-networks of a row: each linear, normalised over the units of all, scaled and shifted on its own."""
    micro = model.micro
    for weights, gains, shifts in zip(micro.weights, micro.gains, micro.shifts, strict=True):
        linear = [state @ weights.detach().numpy()[pair] for pair, state in enumerate(states)]
        units = [float(unit) for state in linear for unit in state]
        mean = sum(units) / len(units)
        root = np.sqrt(sum((unit - mean) ** 2 for unit in units) / len(units) + 1e-5)
        states = [
            np.maximum(0, gains.detach().numpy()[pair] * (state - mean) / root + shifts.detach().numpy()[pair])
            for pair, state in enumerate(linear)
        ]
    return states


def slow_logit(model: PIN, ids_F: np.ndarray) -> float:
    """A loop over pairs of fields, and the perceptron over what their networks give."""
    embedded_FD = model.embedding.weight_VD.detach().numpy()[ids_F + np.array([0, 4, 7, 12])]
    inputs = [
        np.concatenate([embedded_FD[i], embedded_FD[j], embedded_FD[i] * embedded_FD[j]])
        for i, j in combinations(range(len(embedded_FD)), 2)
    ]
    state_X = np.concatenate(slow_micro(model, inputs))
    for linear in model.mlp.linears:
        state_X = np.maximum(0, linear.weight.detach().numpy() @ state_X + linear.bias.detach().numpy())
    return float((model.mlp.output.weight.detach().numpy() @ state_X + model.mlp.output.bias.item())[0])


def test_the_logit_is_the_papers_equation() -> None:
    model = pin()
    ids_BF = np.array([[0, 0, 0, 0], [3, 2, 4, 1], [1, 2, 3, 0], [2, 0, 1, 1]])
    expected = [slow_logit(model, ids_F) for ids_F in ids_BF]
    np.testing.assert_allclose(model(torch.from_numpy(ids_BF).int()).detach().numpy(), expected, rtol=1e-10)


def test_costs_are_those_of_products_micro_networks_and_perceptron() -> None:
    """With m = 4, d = 2, six pairs, micro-networks 6-4-3, a perceptron 18-5-3-1."""
    micro, mlp = 6 * 4 + 4 * 3, 18 * 5 + 5 * 3 + 3
    assert pin().flops() == 6 * 2 + 6 * (micro + 3 * (4 + 3)) + 3 * 2 + mlp
    assert pin().interaction_parameters() == 6 * (micro + 2 * (4 + 3)) + mlp + 5 + 3 + 1
