import numpy as np
import torch

from training.models.registry import build
from training.models.xdeepfm import XDeepFM

SIZES = [4, 3, 5]
OPTIONS = {"embedding_size": 2, "maps": [3, 2], "hidden": [4, 3]}


def xdeepfm() -> XDeepFM:
    torch.manual_seed(0)
    model = build("xdeepfm", OPTIONS, SIZES)
    assert isinstance(model, XDeepFM)
    for linear in (*model.mlp.linears, model.mlp.output):
        torch.nn.init.normal_(linear.bias)
    return model


def slow_logit(model: XDeepFM, ids_F: np.ndarray) -> float:
    """Eq. 6-8 and 15 of the paper by explicit loops: linear part, CIN with every map made, perceptron."""
    rows = ids_F + np.array([0, 4, 7])
    embedded_FD = model.embedding.weight_VD.detach().numpy()[rows].astype(float)
    logit = float(model.linear.weight_VD.detach().numpy()[rows].sum())
    state_HD, pooled = embedded_FD, []
    for weight_HIF in (weight.detach().numpy() for weight in model.interaction.weights):
        after_HD = np.zeros((len(weight_HIF), 2))
        for h, i, j in np.ndindex(*weight_HIF.shape):
            after_HD[h] += weight_HIF[h, i, j] * state_HD[i] * embedded_FD[j]
        state_HD = after_HD
        pooled.extend(after_HD.sum(axis=1))
    logit += float(np.dot(model.interaction.readout.detach().numpy()[0], pooled))
    state_X = embedded_FD.ravel()
    for linear in model.mlp.linears:
        state_X = np.maximum(0, linear.weight.detach().numpy() @ state_X + linear.bias.detach().numpy())
    return logit + float((model.mlp.output.weight.detach().numpy() @ state_X + model.mlp.output.bias.item())[0])


def test_the_logit_is_the_papers_equation() -> None:
    model = xdeepfm()
    ids_BF = np.array([[0, 0, 0], [3, 2, 4], [1, 2, 3], [2, 0, 1]])
    expected = [slow_logit(model, ids_F) for ids_F in ids_BF]
    found_B = model(torch.from_numpy(ids_BF).int()).detach().numpy()
    np.testing.assert_allclose(found_B, expected, rtol=1e-4, atol=1e-5)


def test_flops_are_the_cins_and_the_perceptrons() -> None:
    """With m = 3, d = 2, maps 3 and 2, widths 6-4-3-1."""
    assert xdeepfm().flops() == 2 * (3 * 3 * 3 + 3 * 3 * 2) + (6 * 4 + 4 * 3 + 3)


def test_ids_that_no_row_used_get_the_mean_weight_of_their_field() -> None:
    """The linear table's too, else an unseen value keeps its random first weight."""
    model = xdeepfm()
    before_V = model.linear.weight_VD.detach().clone()
    model.fill_untrained(torch.tensor([[2, 1, 1], [3, 1, 1]]).int())
    torch.testing.assert_close(model.linear.weight_VD[0], before_V[2:4].mean(0))
    torch.testing.assert_close(model.linear.weight_VD[2:4], before_V[2:4])
