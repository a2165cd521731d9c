"""DAGFM: the student. Feature interactions of every order up to l+1 as paths of a directed acyclic graph.

    h^1     = C e                                        C [m, m] mixes fields; starts as the identity
    h^{t+1} = h^1_s ⊙ Σ_{f ≤ s} φ_t(h^t_f)               layers/propagation.py; inner or outer φ
    logit   = w · [Σ_d h^1, …, Σ_d h^{l+1}] + b          m·(l+1) sums into one linear unit        eq. 7

Paper: Tian et al., Directed Acyclic Graph Factorization Machines for CTR Prediction via Knowledge Distillation
(WSDM 2023). Cost per row: inner 2·E·d·l, outer 3·E·d·l multiplications with E = m(m+1)/2 edges.

C decides whether the model can be served with the context computed once. `triangular` (C[s, f] = 0 for f > s) keeps
every context node a function of the context alone; `identity` drops C; `dense` is the published form, kept to
reproduce the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field as Option
from torch import Tensor, nn

from training.layers.propagation import InnerPropagation, OuterPropagation, Propagation
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class DAGFMOptions(ModelOptions):
    """Options of both students."""

    layers: int = Option(ge=1, examples=[2])
    """Propagation layers; interactions reach order layers + 1."""
    connect: Literal["triangular", "identity", "dense"] = "triangular"
    """Which entries of C are learned."""


def connect_mask(connect: str, fields: int) -> Tensor:
    """mask[s, f] = 1 where C[s, f] is learned; [F, F]."""
    full_FF = torch.ones(fields, fields)
    return {"triangular": full_FF.tril(), "identity": torch.eye(fields), "dense": full_FF}[connect]


class DAGFM(CTRModel):
    """What the two students share; they differ in the propagation layer."""

    Options = DAGFMOptions
    propagation: ClassVar[type[InnerPropagation | OuterPropagation]]
    connect_mask_FF: Tensor

    def __init__(self, sizes: Sequence[int], options: DAGFMOptions) -> None:
        super().__init__(sizes, options)
        self.connect = options.connect
        self.register_buffer("connect_mask_FF", connect_mask(self.connect, self.fields), persistent=False)
        self.connect_FF = nn.Parameter(torch.eye(self.fields), requires_grad=self.connect != "identity")
        self.layers = nn.ModuleList(
            self.propagation(self.fields, options.embedding_size) for _ in range(options.layers)
        )
        self.readout = nn.Linear(self.fields * (options.layers + 1), 1)
        nn.init.xavier_normal_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    @property
    def propagations(self) -> list[Propagation]:
        """The l propagation layers."""
        return [layer for layer in self.layers if isinstance(layer, Propagation)]

    def base(self, embedded_BFD: Tensor) -> Tensor:
        """h^1 = C e, [B, F, D]; C with the entries its kind lacks masked to zero."""
        return self.connection() @ embedded_BFD

    def connection(self) -> Tensor:
        """C as used, [F, F]."""
        return self.connect_FF * self.connect_mask_FF

    def states(self, embedded_BFD: Tensor) -> list[Tensor]:
        """h^1 … h^{l+1}, each [B, F, D]."""
        base_BFD = self.base(embedded_BFD)
        states = [base_BFD]
        for layer in self.layers:
            states.append(layer(states[-1], base_BFD))
        return states

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        sums_BS = torch.cat([state_BFD.sum(2) for state_BFD in self.states(embedded_BFD)], dim=1)
        logits_B1: Tensor = self.readout(sums_BS)
        return logits_B1[:, 0]

    def hint_unit(self) -> nn.Linear:
        """Reads the sums of all states."""
        return self.readout

    @property
    def edges(self) -> int:
        """E = m(m+1)/2, self-loops included."""
        return self.fields * (self.fields + 1) // 2

    def flops(self) -> int:
        """2·E·d·l (inner) or 3·E·d·l (outer)."""
        per_edge = self.propagation.multiplications_per_edge_and_dimension
        return per_edge * self.edges * self.options.embedding_size * len(self.layers)

    def interaction_parameters(self) -> int:
        """E·d·l (inner) or 2·E·d·l (outer), C, and the readout."""
        propagation = sum(
            self.edges * layer.edge_parameters() for layer in self.layers if isinstance(layer, Propagation)
        )
        connect = 0 if self.connect == "identity" else int(self.connect_mask_FF.sum())
        return propagation + connect + self.readout.in_features + 1


@register("dagfm_inner")
class DAGFMInner(DAGFM):
    """The student of CIN teachers."""

    propagation = InnerPropagation


@register("dagfm_outer")
class DAGFMOuter(DAGFM):
    """The student of CrossNet teachers."""

    propagation = OuterPropagation
