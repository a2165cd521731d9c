"""Messages of a student's layer from some nodes to some nodes, candidates last: [F·D, N] → [S·D, N].

Weights stand on the left, so that every product has N columns. Four ways, each exact:

    dense           one matrix [S·D, F·D]: the fewest operators, the most arithmetic          any with weights
    rank one        a = ⟨h_f, p[f, s]⟩, then Σ_f a[f, s] q[f, s]: 2·F·S·D instead of F·S·D²    outer
    per dimension   D matrices [S, F], states ordered by dimension first                       inner
    prefix sums     a cumulative sum over fields: no multiplication                            plain

`reverse` sends along the same edges from targets to sources with the targets weighted: what a last layer needs
whose states are only ever summed, Σ_s w_s Σ_d h_sd ⊙ (K g)_sd = ⟨Kᵀ (w ⊙ h), g⟩.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.forms.constants import fixed
from training.layers.full_propagation import FullPropagation
from training.layers.plain_propagation import PlainPropagation
from training.layers.propagation import InnerPropagation, OuterPropagation, Propagation, WeightedPropagation


class Messages(nn.Module, ABC):
    """Flat states [F·D, N] → summed messages [S·D, N], ordered by field first unless a way says otherwise."""

    @classmethod
    @abstractmethod
    def along(cls, layer: Propagation, sources: slice, targets: slice) -> Messages:
        """The messages of a layer's edges from `sources` to `targets`."""

    @abstractmethod
    def reverse(self, weights_S: Tensor) -> nn.Module:
        """[S·D, N] → [F·D, N]: the transposed edges, each target s weighted with weights_S[s]."""

    @staticmethod
    def mix(connection_SF: Tensor, columns_XN: Tensor) -> Tensor:
        """C e of embeddings [F·D, N], ordered by field first, as states [S·D, N] of this way's order."""
        fields = connection_SF.shape[1]
        mixed = connection_SF @ columns_XN.reshape(fields, -1)
        return mixed.reshape(-1, columns_XN.shape[1])

    @staticmethod
    def ordered(flat_X: Tensor, dimension: int) -> Tensor:  # noqa: ARG004 - other orders need it
        """Numbers [S·D] ordered by field first → in this way's order."""
        return flat_X

    @classmethod
    def per_state(cls, weights_S: Tensor, dimension: int) -> Tensor:
        """A weight per field → one per number of a flat state [S·D] of this way's order."""
        return cls.ordered(weights_S.repeat_interleave(dimension), dimension)


class DenseMessages(Messages):
    """One matrix product over fields and dimensions."""

    def __init__(self, matrix_SF: Tensor, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.matrix = fixed(matrix_SF)

    @classmethod
    def along(cls, layer: Propagation, sources: slice, targets: slice) -> DenseMessages:
        """The matrix of a layer's kernel."""
        if not isinstance(layer, WeightedPropagation):
            raise TypeError(f"{type(layer).__name__} has no kernel: use another way")
        kernel = layer.block(layer.kernel(), sources, targets)
        return cls(layer.dense(kernel).T, layer.dimension)

    def reverse(self, weights_S: Tensor) -> DenseMessages:
        """The transposed matrix."""
        weighted = self.matrix * self.per_state(weights_S, self.dimension)[:, None]
        return DenseMessages(weighted.T, self.dimension)

    def forward(self, state_XN: Tensor) -> Tensor:
        """Summed messages [S·D, N]."""
        return self.matrix @ state_XN


class RankOneMessages(Messages):
    """Σ_f ⟨h_f, p[f, s]⟩ q[f, s] without forming the matrices pᵀq."""

    def __init__(self, p_FSD: Tensor, q_FSD: Tensor) -> None:
        super().__init__()
        self.p_FSD = fixed(p_FSD)
        self.q_SDF = fixed(q_FSD.permute(1, 2, 0))

    @classmethod
    def along(cls, layer: Propagation, sources: slice, targets: slice) -> RankOneMessages:
        """The vectors of a layer's edges; absent edges have p = 0."""
        if not isinstance(layer, OuterPropagation):
            raise TypeError(f"{type(layer).__name__} has no rank-one kernels: use another way")
        p_FSD = (layer.p_FSD * layer.mask_FF[..., None])[sources, targets]
        return cls(p_FSD, layer.q_FSD[sources, targets])

    def reverse(self, weights_S: Tensor) -> RankOneMessages:
        """The same with p and q exchanged."""
        return RankOneMessages(self.q_SDF.transpose(1, 2) * weights_S[:, None, None], self.p_FSD.transpose(0, 1))

    def forward(self, state_XN: Tensor) -> Tensor:
        """Summed messages [S·D, N]."""
        state_FDN = state_XN.reshape(self.p_FSD.shape[0], -1, state_XN.shape[1])
        scalars_FSN = self.p_FSD @ state_FDN
        return (self.q_SDF @ scalars_FSN.transpose(0, 1)).flatten(0, 1)


class PerDimensionMessages(Messages):
    """A product per dimension; states are ordered by dimension first, so that no layer has to transpose them."""

    def __init__(self, kernel_DSF: Tensor) -> None:
        super().__init__()
        self.kernel_DSF = fixed(kernel_DSF)

    @classmethod
    def along(cls, layer: Propagation, sources: slice, targets: slice) -> PerDimensionMessages:
        """The vectors p of a layer's edges, a matrix per dimension."""
        if not isinstance(layer, InnerPropagation):
            raise TypeError(f"{type(layer).__name__} mixes dimensions: use another way")
        return cls(layer.block(layer.kernel(), sources, targets).transpose(1, 2))

    def reverse(self, weights_S: Tensor) -> PerDimensionMessages:
        """The transposed matrices."""
        return PerDimensionMessages((self.kernel_DSF * weights_S[:, None]).transpose(1, 2))

    def forward(self, state_XN: Tensor) -> Tensor:
        """Summed messages [D·S, N]."""
        state_DFN = state_XN.reshape(self.kernel_DSF.shape[0], -1, state_XN.shape[1])
        return (self.kernel_DSF @ state_DFN).flatten(0, 1)

    @staticmethod
    def mix(connection_SF: Tensor, columns_XN: Tensor) -> Tensor:
        """C e, ordered by dimension first: the transposition is part of the product."""
        columns_FDN = columns_XN.reshape(connection_SF.shape[1], -1, columns_XN.shape[1])
        return (connection_SF @ columns_FDN.transpose(0, 1)).flatten(0, 1)

    @staticmethod
    def ordered(flat_X: Tensor, dimension: int) -> Tensor:
        """Dimension first, [D·S]."""
        return flat_X.reshape(-1, dimension).T.flatten()


class PrefixMessages(Messages):
    """To each node the sum of all states up to one of them, in one cumulative sum.

    Args:
        last_S: which of the sources is the last one each node hears, growing.
        fields: F, how many sources there are.
    """

    last_S: Tensor

    def __init__(self, last_S: Tensor, fields: int) -> None:
        super().__init__()
        self.fields = fields
        self.register_buffer("last_S", last_S)
        self.hears_itself = torch.equal(last_S, torch.arange(fields))

    @classmethod
    def along(cls, layer: Propagation, sources: slice, targets: slice) -> PrefixMessages:
        """Each target hears the sources up to itself; the first target must hear one."""
        if not isinstance(layer, PlainPropagation):
            raise TypeError(f"{type(layer).__name__} weights its messages: use another way")
        last_S = torch.arange(targets.start, targets.stop).clamp(max=sources.stop - 1) - sources.start
        return cls(last_S, sources.stop - sources.start)

    def reverse(self, weights_S: Tensor) -> SuffixMessages:
        """Sums from behind: a source is heard by the first target that hears it and by all later ones."""
        first_F = torch.searchsorted(self.last_S, torch.arange(self.fields))
        return SuffixMessages(first_F, weights_S)

    def forward(self, state_XN: Tensor) -> Tensor:
        """Summed messages [S·D, N]."""
        sums_FDN = state_XN.reshape(self.fields, -1, state_XN.shape[1]).cumsum(0)
        heard_SDN = sums_FDN if self.hears_itself else sums_FDN.index_select(0, self.last_S)
        return heard_SDN.flatten(0, 1)


class SuffixMessages(nn.Module):
    """The reverse of prefix messages: [S·D, N] → [F·D, N], weighted sums of all states from one of them on."""

    from_behind_F: Tensor

    def __init__(self, first_F: Tensor, weights_S: Tensor) -> None:
        super().__init__()
        self.weights_S11 = fixed(weights_S[:, None, None])
        self.register_buffer("from_behind_F", len(weights_S) - 1 - first_F)

    def forward(self, state_XN: Tensor) -> Tensor:
        """Summed messages [F·D, N]."""
        weighted_SDN = self.weights_S11 * state_XN.reshape(len(self.weights_S11), -1, state_XN.shape[1])
        return weighted_SDN.flip(0).cumsum(0).index_select(0, self.from_behind_F).flatten(0, 1)


WAYS: Mapping[type[Propagation], Mapping[str, type[Messages]]] = {
    InnerPropagation: {"dense": DenseMessages, "per_dimension": PerDimensionMessages},
    OuterPropagation: {"dense": DenseMessages, "rank_one": RankOneMessages},
    FullPropagation: {"dense": DenseMessages},
    PlainPropagation: {"prefix_sums": PrefixMessages},
}
"""The ways a layer's messages can be sent, by name; the last one follows the layer's own equation."""


def ways(layer: Propagation) -> Mapping[str, type[Messages]]:
    """The ways a layer's messages can be sent, by name."""
    return WAYS[type(layer)]


def own_way(layer: Propagation) -> str:
    """The name of the way that follows the layer's own equation."""
    return list(ways(layer))[-1]
