"""DAGFM: the student. Feature interactions of every order up to l+1 as paths of a directed acyclic graph.

    h^1 … h^{l+1}   the states of models/dag.py, by one of four φ
    logit = w · [Σ_d h^1, …, Σ_d h^{l+1}] + b          m·(l+1) sums into one linear unit        eq. 7

    name          φ(h_f) to node s              multiplications per row      weights
    dagfm_plain   h_f                 eq. 3     m·d·l                        none
    dagfm_inner   h_f ⊙ p[f, s]       eq. 4     2·E·d·l                      E·d·l
    dagfm_outer   h_f p[f, s]ᵀq[f, s] eq. 8-9   3·E·d·l                      2·E·d·l
    dagfm_full    h_f W[f, s]         eq. 5     E·(d² + d)·l                 E·d²·l

with E = m(m+1)/2 edges. Inner and outer are the paper's students; plain and full are what they stand between, compared
in its Figure 5. Paper: Tian et al., Directed Acyclic Graph Factorization Machines for CTR Prediction via Knowledge
Distillation (WSDM 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.layers.full_propagation import FullPropagation
from training.layers.fused_propagation import fused_sums, is_fusible
from training.layers.plain_propagation import PlainPropagation
from training.layers.propagation import InnerPropagation, OuterPropagation
from training.layers.readout import Readout
from training.models.dag import DAGModel, DAGOptions
from training.models.registry import register


class DAGFM(DAGModel):
    """What the four share; they differ in the propagation layer."""

    Options = DAGOptions

    def __init__(self, sizes: Sequence[int], options: DAGOptions) -> None:
        super().__init__(sizes, options)
        self.readout = Readout(self.fields * (options.layers + 1), 1)
        nn.init.xavier_normal_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        logits_B1: Tensor = self.readout(self.sums(embedded_BFD).flatten(1))
        return logits_B1[:, 0]

    def sums(self, embedded_BFD: Tensor) -> Tensor:
        """Σ_d h^1 … Σ_d h^{l+1}, [B, l + 1, F]; a sum in bfloat16 would have three digits."""
        if is_fusible(embedded_BFD, self.propagations):
            return fused_sums(embedded_BFD, self.connection(), self.propagations)
        own = self.readout.weight.dtype
        return torch.stack([state_BFD.sum(2, dtype=own) for state_BFD in self.states(embedded_BFD)], dim=1)

    def hint_unit(self) -> nn.Linear:
        """Reads the sums of all states."""
        return self.readout

    def flops(self) -> int:
        """The layers' multiplications; the readout only weights sums and is not counted, as in Table 3."""
        return self.propagation_multiplications()

    def interaction_parameters(self) -> int:
        """The layers, C, and the readout."""
        return self.propagation_parameters() + self.readout.in_features + 1


@register("dagfm_inner")
class DAGFMInner(DAGFM):
    """The student of CIN teachers."""

    propagation = InnerPropagation


@register("dagfm_outer")
class DAGFMOuter(DAGFM):
    """The student of CrossNet teachers."""

    propagation = OuterPropagation


@register("dagfm_full")
class DAGFMFull(DAGFM):
    """The student whose outer kernels are not held to rank one."""

    propagation = FullPropagation


@register("dagfm_plain")
class DAGFMPlain(DAGFM):
    """The student without weights on its edges."""

    propagation = PlainPropagation
