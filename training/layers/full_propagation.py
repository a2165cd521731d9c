"""The propagation layer with a matrix of its own on every edge: what the outer form brings down to rank one.

    h^{t+1}_s = h^1_s ⊙ Σ_{f ≤ s} h^t_f W[f, s]          W[f, s] a D×D matrix per edge           eq. 5

Cost per row: E·(D² + D) multiplications (vector times matrix, then ⊙ h^1, both counted per edge as in Table 3), and
E·D² parameters: (D + 1)/3 times the outer form's arithmetic and D/2 times its parameters. The authors' initial values
are not known; here the matrix [F·D, S·D] that a layer multiplies with is xavier normal, with the outer form's gain.
Source: Tian et al., KD-DAGFM (WSDM 2023), one of Figure 5's interaction functions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.layers.propagation import GAIN, MatrixPropagation


class FullPropagation(MatrixPropagation):
    """φ(h_f) = h_f W[f, s]."""

    def __init__(self, fields: int, dimension: int) -> None:
        super().__init__(fields, dimension)
        self.weight_FDSD = nn.Parameter(torch.empty(fields, dimension, fields, dimension))
        nn.init.xavier_normal_(self.weight_FDSD.view(fields * dimension, -1), gain=GAIN)

    def kernel(self) -> Tensor:
        """The matrices W, absent edges zero, [F, D, S, D]."""
        return self.weight_FDSD * self.mask_FF[:, None, :, None]

    def multiplications(self) -> int:
        """E·(D² + D)."""
        return self.edges * (self.dimension**2 + self.dimension)

    def edge_parameters(self) -> int:
        """D²."""
        return self.dimension**2
