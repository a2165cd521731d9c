"""The baseline: DeepFM or DCNv2 trained as CTR libraries do it, so that a ratio stands on one machine.

A table per field, looked up one after the other and stacked, dense gradients, Adam with its defaults, float32. Kinder
than they are where they differ: no L2 term over whole tables, batches sliced from one tensor, and the interactions are
ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.data.batches import TensorRows
from training.losses import click_loss
from training.models.base import CTRModel


class LibraryModel(nn.Module):
    """A model's interactions over a table per field, and a weight per id if the model has one."""

    def __init__(self, model: CTRModel, sizes: Sequence[int]) -> None:
        super().__init__()
        dimension = model.embedding.dimension
        self.tables = nn.ModuleList(nn.Embedding(size, dimension) for size in sizes)
        self.linear = nn.ModuleList(nn.Embedding(size, 1) for size in sizes if hasattr(model, "linear"))
        self.model = model
        for table in (model.embedding, getattr(model, "linear", None)):
            if table is not None:
                table.weight_VD = nn.Parameter(torch.zeros(0, 0), requires_grad=False)  # not what is trained here

    def forward(self, ids_BF: Tensor) -> Tensor:
        """Logits [B]."""
        embedded_BFD = torch.stack([table(ids_BF[:, field]) for field, table in enumerate(self.tables)], dim=1)
        logits_B: Tensor = self.model.interact(embedded_BFD)
        for field, table in enumerate(self.linear):
            logits_B = logits_B + table(ids_BF[:, field])[:, 0]
        return logits_B


def library_steps(model: LibraryModel, optimizer: torch.optim.Optimizer, rows: TensorRows, batch: int) -> None:
    """One pass over the rows."""
    for rows_B in torch.randperm(len(rows)).split(batch):  # type: ignore[no-untyped-call]
        optimizer.zero_grad()
        click_loss(model(rows.ids_NF[rows_B]), rows.clicks_N[rows_B]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
