import numpy as np
import torch

from training.layers.cross import CrossLayer


def test_a_cross_layer_is_its_equation() -> None:
    torch.manual_seed(0)
    layer = CrossLayer(6)
    base_BX, state_BX = torch.randn(3, 6), torch.randn(3, 6)
    weight, bias = layer.linear.weight.detach().numpy(), layer.linear.bias.detach().numpy()
    expected = [
        base * (weight @ state + bias) + state for base, state in zip(base_BX.numpy(), state_BX.numpy(), strict=True)
    ]
    np.testing.assert_allclose(layer(base_BX, state_BX).detach().numpy(), expected, rtol=1e-5)
