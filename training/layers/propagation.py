"""One propagation layer of the student's directed acyclic graph, inner and outer form.

    h^{t+1}_s = h^1_s ⊙ Σ_{f ≤ s} φ(h^t_f)              messages run from lower to higher field, self-loop included
    inner:  φ(h_f) = h_f ⊙ p[f, s]                       a D-vector per edge            eq. 10-11, weighted
    outer:  φ(h_f) = ⟨h_f, p[f, s]⟩ · q[f, s]            rank one, W = pᵀq              eq. 8-9

A path of k-1 edges ending in s is one k-order interaction, so l layers reach order l+1 by dynamic programming over
the DAG. Source: Tian et al., KD-DAGFM (WSDM 2023). With E = F(F+1)/2 edges, cost per row and layer: inner 2·E·D
multiplications (message, then ⊙ h^1, both counted per edge as in Table 3), outer 3·E·D.

Two more forms have files of their own: a matrix of its own per edge (full_propagation.py) and no weights at all
(plain_propagation.py). All compute on dense kernels with the edges f > s masked to zero: on a CPU one matrix product
over all edges beats anything that skips half of them. What the equations need and what a graph executes are counted
apart for that reason.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

GAIN = 2**0.5
"""Of xavier normal weights: what makes up for ReLU, as the authors set it."""


def edge_mask(fields: int) -> Tensor:
    """mask[f, s] = 1 where the DAG has an edge f → s, that is f ≤ s; [F, F]."""
    return torch.ones(fields, fields).triu()


class Propagation(nn.Module, ABC):
    """(h^t, h^1) → h^{t+1}, all [B, F, D].

    Args:
        fields: F.
        dimension: D.
    """

    mask_FF: Tensor

    def __init__(self, fields: int, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.register_buffer("mask_FF", edge_mask(fields), persistent=False)

    def forward(self, state_BFD: Tensor, base_BFD: Tensor) -> Tensor:
        """The next states [B, F, D]."""
        return base_BFD * self.messages(state_BFD)

    @abstractmethod
    def messages(self, state_BFD: Tensor) -> Tensor:
        """Messages of all nodes along all edges, summed where they arrive: [B, F, D]."""

    @property
    def edges(self) -> int:
        """E = F(F+1)/2, self-loops included."""
        fields = len(self.mask_FF)
        return fields * (fields + 1) // 2

    @abstractmethod
    def multiplications(self) -> int:
        """What the layer's equation needs per row."""

    @abstractmethod
    def edge_parameters(self) -> int:
        """Parameters per edge."""


class WeightedPropagation(Propagation):
    """A layer with weights on its edges.

    `kernel` and `send` are apart so that a served model can cut the kernel into blocks (context to context, context
    to candidate, candidate to candidate) and send along each as often as it needs to.
    """

    def messages(self, state_BFD: Tensor) -> Tensor:
        """Summed messages [B, F, D] along the whole kernel, which is made once per batch."""
        return self.send(state_BFD, self.kernel())

    @abstractmethod
    def kernel(self) -> Tensor:
        """The weights of all edges, absent ones zero; inner [D, F, S], else matrices [F, D, S, D]."""

    @staticmethod
    @abstractmethod
    def send(state_BFD: Tensor, kernel: Tensor) -> Tensor:
        """Messages of F nodes along a kernel from F to S nodes, summed at each of the S: [B, S, D]."""

    @staticmethod
    @abstractmethod
    def block(kernel: Tensor, sources: slice, targets: slice) -> Tensor:
        """The part of a kernel from some nodes to some nodes."""

    @staticmethod
    @abstractmethod
    def dense(kernel: Tensor) -> Tensor:
        """The kernel as one matrix [F·D, S·D]: `send` is then state.flatten(1) @ matrix."""


class InnerPropagation(WeightedPropagation):
    """φ(h_f) = h_f ⊙ p[f, s]."""

    def __init__(self, fields: int, dimension: int) -> None:
        super().__init__(fields, dimension)
        self.p_FSD = nn.Parameter(torch.randn(fields, fields, dimension))

    def kernel(self) -> Tensor:
        """The vectors p, absent edges zero, [D, F, S]."""
        return (self.p_FSD * self.mask_FF[..., None]).permute(2, 0, 1)

    @staticmethod
    def send(state_BFD: Tensor, kernel: Tensor) -> Tensor:
        """A matrix product per dimension: [D, B, F] @ [D, F, S]."""
        return (state_BFD.permute(2, 0, 1) @ kernel).permute(1, 2, 0)

    @staticmethod
    def block(kernel: Tensor, sources: slice, targets: slice) -> Tensor:
        """kernel[:, sources, targets]"""
        return kernel[:, sources, targets]

    @staticmethod
    def dense(kernel: Tensor) -> Tensor:
        """Diagonal D×D blocks: D times the arithmetic, still the fastest for a handful of fields."""
        return torch.diag_embed(kernel.permute(1, 2, 0)).permute(0, 2, 1, 3).flatten(2).flatten(0, 1)

    def multiplications(self) -> int:
        """2·E·D."""
        return 2 * self.edges * self.dimension

    def edge_parameters(self) -> int:
        """D."""
        return self.p_FSD.shape[2]


class MatrixPropagation(WeightedPropagation):
    """φ(h_f) = h_f W[f, s], however the matrices come about; a kernel is [F, D, S, D]."""

    @staticmethod
    def send(state_BFD: Tensor, kernel: Tensor) -> Tensor:
        """One matrix product over all edges and dimensions: [B, F·D] @ [F·D, S·D]."""
        messages_BX = state_BFD.flatten(1) @ MatrixPropagation.dense(kernel)
        return messages_BX.view(-1, *kernel.shape[2:])

    @staticmethod
    def block(kernel: Tensor, sources: slice, targets: slice) -> Tensor:
        """kernel[sources, :, targets]"""
        return kernel[sources, :, targets]

    @staticmethod
    def dense(kernel: Tensor) -> Tensor:
        """The kernel's own numbers."""
        return kernel.flatten(2).flatten(0, 1)


class OuterPropagation(MatrixPropagation):
    """φ(h_f) = ⟨h_f, p[f, s]⟩ · q[f, s]."""

    def __init__(self, fields: int, dimension: int) -> None:
        super().__init__(fields, dimension)
        self.p_FSD = nn.Parameter(torch.empty(fields, fields, dimension))
        self.q_FSD = nn.Parameter(torch.empty(fields, fields, dimension))
        nn.init.xavier_normal_(self.p_FSD, gain=GAIN)
        nn.init.xavier_normal_(self.q_FSD, gain=GAIN)

    def kernel(self) -> Tensor:
        """The matrices W[f, s] = p[f, s]ᵀ q[f, s], absent edges zero, [F, D, S, D]."""
        masked_FSD = self.p_FSD * self.mask_FF[..., None]
        return masked_FSD.transpose(1, 2)[..., None] * self.q_FSD[:, None]

    def multiplications(self) -> int:
        """3·E·D."""
        return 3 * self.edges * self.dimension

    def edge_parameters(self) -> int:
        """2·D."""
        return 2 * self.p_FSD.shape[2]
