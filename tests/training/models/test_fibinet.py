from itertools import combinations

import numpy as np
import pytest
import torch

from training.models.fibinet import FiBiNET
from training.models.registry import build

SIZES = [4, 3, 5, 2]
OPTIONS = {"embedding_size": 2, "reduction": 2, "hidden": [4, 3]}
BILINEAR = ["all", "each", "interaction"]


def fibinet(bilinear: str) -> FiBiNET:
    torch.manual_seed(0)
    model = build("fibinet", {**OPTIONS, "bilinear": bilinear}, SIZES).double()
    assert isinstance(model, FiBiNET)
    torch.nn.init.normal_(model.embedding.weight_VD)
    torch.nn.init.normal_(model.senet.excite.weight)
    for linear in (*model.mlp.linears, model.mlp.output):
        torch.nn.init.normal_(linear.bias)
    return model


def slow_products(weights_MDD: np.ndarray, embedded_FD: np.ndarray) -> list[float]:
    """Bilinear products by loops over pairs: which of the matrices is a pair's is told by how many there are."""
    fields = len(embedded_FD)
    products: list[float] = []
    for pair, (i, j) in enumerate(combinations(range(fields), 2)):
        matrix = {1: 0, fields - 1: i, fields * (fields - 1) // 2: pair}[len(weights_MDD)]
        products.extend((embedded_FD[i] @ weights_MDD[matrix]) * embedded_FD[j])
    return products


def slow_logit(model: FiBiNET, ids_F: np.ndarray) -> float:
    """Linear part, and the perceptron over the products of the embeddings and of the re-weighted embeddings."""
    rows = ids_F + np.array([0, 4, 7, 12])
    embedded_FD = model.embedding.weight_VD.detach().numpy()[rows]
    squeeze, excite = model.senet.squeeze.weight.detach().numpy(), model.senet.excite.weight.detach().numpy()
    weights_F = np.maximum(0, excite @ np.maximum(0, squeeze @ np.array([row.sum() / 2 for row in embedded_FD])))
    reweighted_FD = np.array([weight * row for weight, row in zip(weights_F, embedded_FD, strict=True)])
    plain, weighted = model.interaction.weight_CMDD.detach().numpy()
    state_X = np.array(slow_products(plain, embedded_FD) + slow_products(weighted, reweighted_FD))
    for linear in model.mlp.linears:
        state_X = np.maximum(0, linear.weight.detach().numpy() @ state_X + linear.bias.detach().numpy())
    logit = (model.mlp.output.weight.detach().numpy() @ state_X + model.mlp.output.bias.item())[0]
    return float(logit + model.linear.weight_VD.detach().numpy()[rows].sum())


@pytest.mark.parametrize("bilinear", BILINEAR)
def test_the_logit_is_the_papers_equation(bilinear: str) -> None:
    model = fibinet(bilinear)
    ids_BF = np.array([[0, 0, 0, 0], [3, 2, 4, 1], [1, 2, 3, 0], [2, 0, 1, 1]])
    expected = [slow_logit(model, ids_F) for ids_F in ids_BF]
    found_B = model(torch.from_numpy(ids_BF).int()).detach().numpy()
    np.testing.assert_allclose(found_B, expected, rtol=1e-10)


@pytest.mark.parametrize("bilinear", BILINEAR)
def test_gradients_under_autocast_are_near_those_without(bilinear: str) -> None:
    model = fibinet(bilinear).float()
    ids_BF = torch.tensor([[0, 0, 0, 0], [3, 2, 4, 1], [1, 2, 3, 0]], dtype=torch.int32)
    (expected,) = torch.autograd.grad(model(ids_BF).sum(), model.embedding.weight_VD)
    with torch.autocast("cpu", torch.bfloat16):
        logits_B = model(ids_BF)
    (found,) = torch.autograd.grad(logits_B.sum(), model.embedding.weight_VD)
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1 * float(expected.abs().max()))


@pytest.mark.parametrize(("bilinear", "turned", "matrices"), [("all", 3, 1), ("each", 3, 3), ("interaction", 6, 6)])
def test_costs_are_those_of_reweighting_products_and_perceptron(bilinear: str, turned: int, matrices: int) -> None:
    """With m = 4, d = 2, six pairs, two units of excitation, widths 24-4-3-1, 14 ids."""
    model = fibinet(bilinear)
    senet, mlp = 4 + 2 * 4 * 2 + 4 * 2, 24 * 4 + 4 * 3 + 3
    assert model.flops() == senet + 2 * (turned * 4 + 6 * 2) + mlp
    assert model.interaction_parameters() == 14 + 2 * 4 * 2 + 2 * matrices * 4 + mlp + 4 + 3 + 1


def test_table_3_counts_a_bilinear_product_anew_in_every_pair() -> None:
    """KD-DAGFM's Table 3, WeChat: m = 264, d = 16; printed 587.76M FLOPs and 569.01M parameters.

    The widths are not given. Both figures fit m(m-1)d inputs into 512 units, a set of matrices for the embeddings and
    one for the re-weighted ones, r = 3, two more layers of 64 (other small ones fit too), and e_i W for each pair. What
    the equations need is e_i W for each left field: 17.64M less. The linear part is not in the printed parameters.
    """
    fields, dimension, pairs = 264, 16, 264 * 263 // 2
    with torch.device("meta"):
        model = build("fibinet", {"embedding_size": dimension, "reduction": 3, "hidden": [512, 64, 64]}, [2] * fields)
    anew = 2 * (pairs - (fields - 1)) * dimension**2
    assert round((model.flops() + anew) / 1e6, 2) == 587.76
    assert round(model.flops() / 1e6, 2) == 570.12
    assert round((model.interaction_parameters() - 2 * fields) / 1e6, 2) == 569.01
    assert fields * (fields - 1) * dimension * 512 == 568_786_944
