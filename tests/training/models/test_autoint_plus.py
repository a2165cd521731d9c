import numpy as np
import torch

from training.models.autoint_plus import AutoIntPlus
from training.models.registry import build

SIZES = [4, 3, 5]
OPTIONS = {"embedding_size": 2, "layers": 2, "heads": 2, "attention_size": 3, "hidden": [4, 3]}


def autoint_plus() -> AutoIntPlus:
    torch.manual_seed(0)
    model = build("autoint_plus", OPTIONS, SIZES).double()
    assert isinstance(model, AutoIntPlus)
    torch.nn.init.normal_(model.embedding.weight_VD)
    for linear in (*model.mlp.linears, model.mlp.output):
        torch.nn.init.normal_(linear.bias)
    return model


def slow_layer(weights: np.ndarray, state: np.ndarray, heads: int, size: int) -> np.ndarray:
    """The interacting layer by loops over fields and heads; `weights` are Q, K, V and R one below the other."""
    query, key, value, residual = weights.reshape(4, heads, size, -1)
    after = np.zeros((len(state), heads, size))
    for f, h in np.ndindex(len(state), heads):
        products = np.array([(query[h] @ state[f]) @ (key[h] @ state[g]) for g in range(len(state))])
        shares = np.exp(products) / np.exp(products).sum()
        for g, share in enumerate(shares):
            after[f, h] += share * (value[h] @ state[g])
        after[f, h] = np.maximum(0, after[f, h] + residual[h] @ state[f])
    return after.reshape(len(state), -1)


def slow_logit(model: AutoIntPlus, ids_F: np.ndarray) -> float:
    """Attended embeddings read out, and the perceptron over the embeddings as they are."""
    embedded_FD = model.embedding.weight_VD.detach().numpy()[ids_F + np.array([0, 4, 7])]
    attended = embedded_FD
    for layer in model.interacting_layers:
        attended = slow_layer(layer.projection.weight.detach().numpy(), attended, 2, 3)
    logit = float(model.readout.weight.detach().numpy()[0] @ attended.ravel())
    state_X = embedded_FD.ravel()
    for linear in model.mlp.linears:
        state_X = np.maximum(0, linear.weight.detach().numpy() @ state_X + linear.bias.detach().numpy())
    return logit + float((model.mlp.output.weight.detach().numpy() @ state_X + model.mlp.output.bias.item())[0])


def test_the_logit_is_the_papers_equation() -> None:
    model = autoint_plus()
    ids_BF = np.array([[0, 0, 0], [3, 2, 4], [1, 2, 3], [2, 0, 1]])
    expected = [slow_logit(model, ids_F) for ids_F in ids_BF]
    np.testing.assert_allclose(model(torch.from_numpy(ids_BF).int()).detach().numpy(), expected, rtol=1e-10)


def test_flops_are_projections_attention_readout_and_perceptron() -> None:
    """With m = 3, d = 2, two heads of three, widths 6-4-3-1; a softmax is an exponential and a division each."""
    projections = 3 * 2 * (4 * 6) + 3 * 6 * (4 * 6)
    attention = 2 * (3 * 3 * 6 + 3 * 3 * 6 + 2 * 3 * 3 * 2)
    assert autoint_plus().flops() == projections + attention + 3 * 6 + (6 * 4 + 4 * 3 + 3)


def test_parameters_do_not_grow_with_the_number_of_fields_but_for_readout_and_perceptron() -> None:
    more = build("autoint_plus", OPTIONS, [*SIZES, 2])
    assert more.interaction_parameters() - autoint_plus().interaction_parameters() == 6 + 2 * 4
