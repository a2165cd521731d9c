"""Feature generation: convolutions over neighbouring fields make new features beside the given ones.

    C^t = tanh(S^{t-1} * K^t)                            K^t [h × 1], over fields, not over dimensions; S^0 = embeddings
    S^t = max over p fields in a row of C^t              the fields left: m_t = ⌈m_{t-1} / p⌉
    R^t = tanh(W^t S^t + b^t)                            recombined to m_t · n new features of d numbers

Convolutions see neighbours, pooling brings far fields nearer, and the recombination mixes what lies anywhere.
Cost per row with maps c_t (c_0 = 1): Σ m_{t-1}·d·h·c_{t-1}·c_t to convolve (padding included), m_t·d·c_t for tanh, and
(m_t·d)²·c_t·n + m_t·d·n to recombine: mostly the last. Source: Liu et al., FGCNN (WWW 2019), its feature generation.

tanh stands behind the maximum here, the same as before it for it only grows, on 1/p of the numbers. Pooling rounds up,
so that no field is dropped where p does not divide. Maps lie last in memory, where both convolving and pooling take
half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class FeatureGeneration(nn.Module):
    """Embeddings [B, F, D] → new features [B, G, D], of all layers one after the other.

    Args:
        fields: F.
        dimension: D.
        maps: c_1 … c_l, feature maps of each convolution.
        kernel: h, fields that a convolution sees; odd.
        pooling: p, fields that are pooled into one.
        new_features: n, new features of each layer per field left.

    Raises:
        ValueError: a layer has a single field left to pool.
    """

    def __init__(
        self, fields: int, dimension: int, maps: Sequence[int], *, kernel: int, pooling: int, new_features: int
    ) -> None:
        super().__init__()
        self.dimension = dimension
        self.pooling = pooling
        self.new_features = new_features
        self.heights = pooled_heights(fields, len(maps), pooling)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, (kernel, 1), padding=(kernel // 2, 0), bias=False)
            for before, after in pairwise([1, *maps])
        )
        self.recombinations = nn.ModuleList(
            nn.Linear(height * dimension * after, height * dimension * new_features)
            for height, after in zip(self.heights[1:], maps, strict=True)
        )
        for _, _, convolution, recombination in self.layers:
            nn.init.xavier_normal_(convolution.weight)
            nn.init.xavier_normal_(recombination.weight)
            nn.init.zeros_(recombination.bias)

    def forward(self, embedded_BFD: Tensor) -> Tensor:
        """New features [B, G, D]."""
        state_BCFD, generated = _maps_last(embedded_BFD[:, None]), []
        for _, height, convolution, recombination in self.layers:
            kernel, padding = _maps_last(convolution.weight), convolution.padding
            convolved_BCFD = nn.functional.conv2d(state_BCFD, kernel, padding=padding)
            pooled_BCFD = nn.functional.max_pool2d(convolved_BCFD, (self.pooling, 1), ceil_mode=True)
            state_BCFD = torch.tanh(pooled_BCFD)
            recombined_BX = torch.tanh(recombination(state_BCFD.permute(0, 2, 3, 1).flatten(1)))
            generated.append(recombined_BX.view(-1, height * self.new_features, self.dimension))
        return torch.cat(generated, dim=1)

    @property
    def generated(self) -> int:
        """G, n·Σ m_t."""
        return self.new_features * sum(self.heights[1:])

    def multiplications(self) -> int:
        """Convolutions with their padding, recombinations, one for each tanh."""
        total = 0
        for before, height, convolution, recombination in self.layers:
            total += before * self.dimension * convolution.weight.numel() + recombination.weight.numel()
            total += height * self.dimension * (convolution.out_channels + self.new_features)
        return total

    def parameter_count(self) -> int:
        """Kernels, recombinations and their biases."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def layers(self) -> list[tuple[int, int, nn.Conv2d, nn.Linear]]:
        """Each layer's fields before and after pooling, its convolution and recombination."""
        parts = zip(pairwise(self.heights), self.convolutions, self.recombinations, strict=True)
        return [
            (before, height, convolution, recombination)
            for (before, height), convolution, recombination in parts
            if isinstance(convolution, nn.Conv2d) and isinstance(recombination, nn.Linear)
        ]


def _maps_last(tensor: Tensor) -> Tensor:
    """The same tensor [B, C, F, D] with C contiguous in memory; parameters themselves stay as they are stored."""
    return tensor.contiguous(memory_format=torch.channels_last)


def pooled_heights(fields: int, layers: int, pooling: int) -> list[int]:
    """m_0 = F, m_1, … m_l: fields left after each layer; raises ValueError where there is one alone to pool."""
    heights = [fields]
    for layer in range(layers):
        if heights[-1] == 1:
            raise ValueError(
                f"pooling {pooling} leaves 1 of {fields} fields after {layer} layers, nothing to pool in layer "
                f"{layer + 1} of {layers}; expected at most {layer} entries of maps, or a smaller pooling"
            )
        heights.append(-(-heights[-1] // pooling))
    return heights
