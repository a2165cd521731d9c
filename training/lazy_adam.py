"""Adam that updates of an embedding table only the rows a batch touched: lazy Adam.

    g_r = Σ over the occurrences of row r in the batch + λ w_r          r ∈ touched rows
    m_r ← β1 m_r + (1 - β1) g_r,   v_r ← β2 v_r + (1 - β2) g_r²,   w_r ← w_r - lr · m̂_r / (√v̂_r + ε)

Rows that a batch does not touch keep weight and moments. What follows from that, against dense Adam:
- the bias correction counts the steps of the table, not those of the row, as dense Adam's does: a row's first step is
  the same in both, and with every row in every batch both are the same;
- a row does not move on by its old momentum between its batches, and its moments do not fade;
- the L2 term acts once per batch that holds the row: rare rows decay as rarely as they learn. Dense Adam lets it act at
  every step, and as it normalises, shrinks rows that never occur as fast as any.

Cost per step: a sort of the batch's ids and three reads and writes of the U touched rows, instead of three reads and
writes of all V rows and a gradient of V rows. On a table of 1.3M rows that is most of a step (DECISIONS, "Lazy").
Torch operations only: one sort finds the occurrences of each row, `embedding_bag` sums their gradients (a third of what
index_add takes), torch's fused Adam computes on the rows gathered. Alternative: torch.optim.SparseAdam, slower, and it
has no L2 term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam


@dataclass(frozen=True)
class Touched:
    """Which rows of a table a batch touched, and where: `order_T[starts_U[u]:starts_U[u + 1]]` all read `rows_U[u]`."""

    rows_U: Tensor
    order_T: Tensor
    starts_U: Tensor

    @classmethod
    def of(cls, rows_T: Tensor) -> Touched:
        """From the row of every occurrence; a stable sort, so that sums are added up in the order of the batch."""
        sorted_T, order_T = rows_T.int().sort(stable=True)
        first_T = torch.ones(len(sorted_T), dtype=torch.bool)
        torch.ne(sorted_T[1:], sorted_T[:-1], out=first_T[1:])
        starts_U = first_T.nonzero()[:, 0]
        return cls(sorted_T[starts_U].long(), order_T, starts_U)

    def sums(self, values_TD: Tensor) -> Tensor:
        """The values of each row's occurrences, summed, [U, D]."""
        sums_UD: Tensor = nn.functional.embedding_bag(self.order_T, values_TD, self.starts_U, mode="sum")
        return sums_UD


class LazyAdam(torch.optim.Adam):
    """torch's Adam, but for parameters whose gradient is sparse: of these, only the rows in it are updated.

    State has the names and shapes of Adam's, so a checkpoint of either is read by the other.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; the sparse gradients are used up, the others stay."""
        known: tuple[Tensor, Touched] | None = None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None or not parameter.grad.is_sparse:
                    continue
                rows_T = parameter.grad._indices()[0]  # noqa: SLF001 - indices() wants them unique, which they are not
                if known is None or not torch.equal(known[0], rows_T):  # tables read by the same ids share one sort
                    known = rows_T, Touched.of(rows_T)
                self._step_rows(parameter, known[1], group)
                parameter.grad = None
        loss: float | None = super().step(closure)
        return loss

    def _step_rows(self, table_VD: Tensor, touched: Touched, group: dict[str, Any]) -> None:
        grad_UD = touched.sums(table_VD.grad._values())  # type: ignore[union-attr] # noqa: SLF001 - as _indices
        state = self.state[table_VD]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table_VD), torch.zeros_like(table_VD)
        stored = [table_VD, state["exp_avg"], state["exp_avg_sq"]]
        rows = [nn.functional.embedding(touched.rows_U, tensor_VD) for tensor_VD in stored]
        weight_UD, mean_UD, square_UD = rows
        adam(
            [weight_UD],
            [grad_UD],
            [mean_UD],
            [square_UD],
            [],
            [state["step"]],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
        for tensor_VD, rows_UD in zip(stored, rows, strict=True):
            tensor_VD.index_copy_(0, touched.rows_U, rows_UD)
