import numpy as np
import pytest
import torch

from training.layers.cin import CompressedInteraction


def slow_cin(layer: CompressedInteraction, base_BFD: np.ndarray) -> np.ndarray:
    """Eq. 6-8 of xDeepFM by explicit loops over maps, fields and dimensions, nothing folded."""
    pooled = []
    state_BHD = base_BFD
    for weight_HIF in (weight.detach().numpy() for weight in layer.weights):
        state_BHD = np.einsum("bid,bjd,hij->bhd", state_BHD, base_BFD, weight_HIF, optimize=False)
        pooled.append(state_BHD.sum(axis=2))
    return np.concatenate(pooled, axis=1) @ layer.readout.detach().numpy()[0]


@pytest.mark.parametrize("maps", [[4], [4, 3], [5, 4, 3]])
def test_folding_the_last_layer_into_the_readout_is_exact(maps: list[int]) -> None:
    torch.manual_seed(0)
    layer = CompressedInteraction(fields=3, maps=maps)
    base_BFD = torch.randn(2, 3, 4)
    np.testing.assert_allclose(
        layer(base_BFD).detach().numpy(), slow_cin(layer, base_BFD.numpy()), rtol=1e-4, atol=1e-6
    )
