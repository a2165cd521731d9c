from itertools import combinations

import numpy as np
import pytest
import torch

from training.models.fgcnn import FGCNN
from training.models.registry import build

SIZES = [4, 3, 5, 2, 3]
OPTIONS = {"embedding_size": 2, "maps": [3, 2], "kernel": 3, "pooling": 2, "new_features": 2, "hidden": [4, 3]}


def fgcnn() -> FGCNN:
    torch.manual_seed(0)
    model = build("fgcnn", OPTIONS, SIZES).double()
    assert isinstance(model, FGCNN)
    torch.nn.init.normal_(model.embedding.weight_VD)
    for linear in (*model.mlp.linears, model.mlp.output, *model.generation.recombinations):
        torch.nn.init.normal_(linear.bias)
    return model


def slow_convolution(kernels: np.ndarray, state: np.ndarray) -> np.ndarray:
    """The convolution over fields and its tanh, for every map, field and dimension; there are zeros beyond the ends."""
    (maps, before, height, _), (_, fields, dimension) = kernels.shape, state.shape
    after = np.zeros((maps, fields, dimension))
    for c, f, d, b, h in np.ndindex(maps, fields, dimension, before, height):
        neighbour = f + h - height // 2
        if 0 <= neighbour < fields:
            after[c, f, d] += kernels[c, b, h, 0] * state[b, neighbour, d]
    return np.tanh(after)


def slow_generation(model: FGCNN, source_FD: np.ndarray) -> np.ndarray:
    """Convolve, pool two fields into one (the last may be alone), recombine with maps last; layer after layer."""
    state, generated = source_FD[None], []
    parts = zip(model.generation.convolutions, model.generation.recombinations, strict=True)
    for convolution, recombination in parts:
        convolved = slow_convolution(convolution.weight.detach().numpy(), state)
        fields = convolved.shape[1]
        state = np.stack([convolved[:, f : f + 2].max(axis=1) for f in range(0, fields, 2)], axis=1)
        mixed = (
            recombination.weight.detach().numpy() @ state.transpose(1, 2, 0).ravel()
            + recombination.bias.detach().numpy()
        )
        generated.append(np.tanh(mixed).reshape(-1, 2))
    return np.concatenate(generated)


def slow_logit(model: FGCNN, ids_F: np.ndarray) -> float:
    """Raw and generated features, their inner products pair by pair, the perceptron."""
    rows_FD = model.embedding.weight_VD.detach().numpy()[ids_F + np.array([0, 4, 7, 12, 14])]
    vectors = np.concatenate([rows_FD[:, :2], slow_generation(model, rows_FD[:, 2:])])
    products = [vectors[i] @ vectors[j] for i, j in combinations(range(len(vectors)), 2)]
    state_X = np.array([*vectors.ravel(), *products])
    for linear in model.mlp.linears:
        state_X = np.maximum(0, linear.weight.detach().numpy() @ state_X + linear.bias.detach().numpy())
    return float((model.mlp.output.weight.detach().numpy() @ state_X + model.mlp.output.bias.item())[0])


def test_the_logit_is_the_papers_equation() -> None:
    model = fgcnn()
    ids_BF = np.array([[0, 0, 0, 0, 0], [3, 2, 4, 1, 2], [1, 2, 3, 0, 1], [2, 0, 1, 1, 0]])
    expected = [slow_logit(model, ids_F) for ids_F in ids_BF]
    np.testing.assert_allclose(model(torch.from_numpy(ids_BF).int()).detach().numpy(), expected, rtol=1e-10)


def test_costs_are_those_of_generation_inner_products_and_perceptron() -> None:
    """Five fields pooled to three and two make 6 + 4 new features: 15 vectors of two numbers, 105 pairs."""
    convolutions = 5 * 2 * (3 * 3) + 3 * 2 * (3 * 3 * 2)
    recombinations = (3 * 2 * 3) * (3 * 2 * 2) + (2 * 2 * 2) * (2 * 2 * 2)
    tanhs = 3 * 2 * (3 + 2) + 2 * 2 * (2 + 2)
    mlp = (15 * 2 + 105) * 4 + 4 * 3 + 3
    assert fgcnn().flops() == convolutions + recombinations + tanhs + 105 * 2 + mlp
    kernels, biases = 3 * 3 + 3 * 3 * 2, 3 * 2 * 2 + 2 * 2 * 2 + 4 + 3 + 1
    assert fgcnn().interaction_parameters() == kernels + recombinations + mlp + biases


def test_generating_and_classifying_embeddings_are_two() -> None:
    """Without new features in its perceptron, the logit does not know the generating half of the table."""
    model = fgcnn()
    with torch.no_grad():
        model.mlp.linears[0].weight.zero_()
        model.mlp.linears[0].weight[:, : 5 * 2] = 1.0
        for linear in model.mlp.linears:
            linear.bias.fill_(100.0)  # no unit is cut off
    model(torch.zeros(1, 5, dtype=torch.int32)).sum().backward()
    grad_VD = model.embedding.weight_VD.grad
    assert grad_VD is not None
    assert grad_VD[:, :2].abs().max() > 0
    assert grad_VD[:, 2:].abs().max() == 0


@pytest.mark.parametrize(("fields", "most"), [(4, 2), (7, 3)])
def test_more_layers_than_the_fields_allow_are_refused_with_how_many_they_do(fields: int, most: int) -> None:
    build("fgcnn", {**OPTIONS, "maps": [2] * most}, [3] * fields)
    said = rf"leaves 1 of {fields} fields after {most} layers.*layer {most + 1} of {most + 1}; expected at most {most} "
    with pytest.raises(ValueError, match=said):
        build("fgcnn", {**OPTIONS, "maps": [2] * (most + 1)}, [3] * fields)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel is 4, expected an odd number"):
        build("fgcnn", {**OPTIONS, "kernel": 4}, SIZES)
