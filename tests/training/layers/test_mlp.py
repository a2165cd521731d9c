import numpy as np
import torch

from training.layers.mlp import MLP


def slow_output(mlp: MLP, state: np.ndarray) -> float:
    """Loops over layers and units."""
    for linear in mlp.linears:
        weights, biases = linear.weight.detach().numpy(), linear.bias.detach().numpy()
        state = np.array([max(0.0, sum(weights[unit] * state) + biases[unit]) for unit in range(len(weights))])
    return float(sum(mlp.output.weight.detach().numpy()[0] * state) + mlp.output.bias.item())


def test_an_output_is_the_layers_one_after_the_other() -> None:
    """Against loops in NumPy; some hidden units are cut off by ReLU."""
    torch.manual_seed(0)
    mlp = MLP(5, [4, 3])
    for linear in mlp.linears:
        torch.nn.init.normal_(linear.bias)
    inputs_BX = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    expected = [slow_output(mlp, inputs_X) for inputs_X in inputs_BX]
    np.testing.assert_allclose(mlp(torch.from_numpy(inputs_BX)).detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_costs_are_counted_from_the_widths() -> None:
    mlp = MLP(5, [4, 3])
    assert mlp.multiplications() == 5 * 4 + 4 * 3 + 3
    assert mlp.parameter_count() == sum(parameter.numel() for parameter in mlp.parameters())
