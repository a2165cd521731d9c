"""DCN's cross layers with the context once: a row's projections are the context's and the candidate's, added.

Per candidate with Xx numbers and l layers: (l + 1)·Xx + l + 1 multiplications.
"""

from __future__ import annotations

from torch import Tensor, nn

from export.forms.constants import fixed
from export.forms.crossnet import SplitProduct
from training.layers.vector_cross import VectorCross, follow


class VectorCrossOnce(nn.Module):
    """Context [Xc, 1] and candidates [Xx, N] → v · x_l, [1, N].

    Args:
        cross: over vectors of Xc + Xx numbers.
        width: Xc.
    """

    def __init__(self, cross: VectorCross, width: int) -> None:
        super().__init__()
        vectors_TX = cross.vectors()
        self.onto = SplitProduct(vectors_TX, vectors_TX.new_zeros(len(vectors_TX)), width)
        self.shifts = fixed(cross.shifts())

    def forward(self, context_X1: Tensor, candidates_XN: Tensor) -> Tensor:
        """The last state read out, [1, N]."""
        onto_TN: Tensor = self.onto(context_X1, candidates_XN)
        return follow(onto_TN.split(1), self.shifts)  # type: ignore[no-untyped-call] # torch's own
