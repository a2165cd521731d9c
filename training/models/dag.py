"""DAGModel: what every form of DAGFM shares, the states of a directed acyclic graph over the fields.

    h^1     = C e                                        C [m, m] mixes fields; starts as the identity
    h^{t+1} = h^1_s ⊙ Σ_{f ≤ s} φ_t(h^t_f)               layers/propagation.py names the forms of φ

C decides whether the model can be served with the context computed once. `triangular` (C[s, f] = 0 for f > s) keeps
every context node a function of the context alone; `identity` drops C; `dense` is the published form, kept to
reproduce the paper. What reads the states is each model's own.

Paper: Tian et al., Directed Acyclic Graph Factorization Machines for CTR Prediction via Knowledge Distillation
(WSDM 2023), eq. 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field as Option
from torch import Tensor, nn

from training.layers.propagation import Propagation
from training.models.base import CTRModel, ModelOptions


class DAGOptions(ModelOptions):
    """Options of every form."""

    layers: int = Option(ge=1, examples=[2])
    """Propagation layers; interactions reach order layers + 1."""
    connect: Literal["triangular", "identity", "dense"] = "triangular"
    """Which entries of C are learned."""


def connect_mask(connect: str, fields: int) -> Tensor:
    """mask[s, f] = 1 where C[s, f] is learned; [F, F]."""
    full_FF = torch.ones(fields, fields)
    return {"triangular": full_FF.tril(), "identity": torch.eye(fields), "dense": full_FF}[connect]


class DAGModel(CTRModel):
    """Embeddings → the states h^1 … h^{l+1}; a model of its own says which φ it has and what reads the states."""

    propagation: ClassVar[type[Propagation]]
    connect_mask_FF: Tensor

    def __init__(self, sizes: Sequence[int], options: DAGOptions) -> None:
        super().__init__(sizes, options)
        self.connect = options.connect
        self.register_buffer("connect_mask_FF", connect_mask(self.connect, self.fields), persistent=False)
        self.connect_FF = nn.Parameter(torch.eye(self.fields), requires_grad=self.connect != "identity")
        self.layers = nn.ModuleList(
            self.propagation(self.fields, options.embedding_size) for _ in range(options.layers)
        )

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

    @property
    def edges(self) -> int:
        """E = m(m+1)/2, self-loops included."""
        return self.propagations[0].edges

    def propagation_multiplications(self) -> int:
        """What the layers need per row; C is not counted, as in Table 3."""
        return sum(layer.multiplications() for layer in self.propagations)

    def propagation_parameters(self) -> int:
        """The layers' parameters, edges the DAG lacks not counted, and the learned entries of C."""
        connect = 0 if self.connect == "identity" else int(self.connect_mask_FF.sum())
        return connect + sum(self.edges * layer.edge_parameters() for layer in self.propagations)
