"""Storing an embedding table in fewer bytes, and what that costs in quality.

    float16    the nearest float16                                     2 bytes a number, 3.3 decimal digits
    int8       q = round(x / s), s = max|row| / 127, one s per row     1 byte a number and 4 a row

Scales per row, because rows differ in size by orders of magnitude: an id seen often has grown, one seen twice has not.
A stored table serves another model than the trained one, so it has to pass a gate on the validation rows.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from export.weights import table_of
from service.bundle import STORED_AS, EmbeddingTable, StoredTable
from service.bundle.embedding import Numbers
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.models.base import CTRModel
from training.objective import click_metrics, predict

LARGEST_CHANGE = 0.0005
"""Of AUC and of log loss on the validation rows, in either direction: a table that changes more is another model."""
_LEVELS = 127


class QuantizeError(ValueError):
    """A table cannot be stored as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A trained model as it will be served."""

    model: CTRModel
    """Its embeddings are the ones that the stored table gives back."""
    embedding: EmbeddingTable
    stored: StoredTable


def served(model: CTRModel, prepared: Prepared, stored_as: str = "float32") -> Served:
    """The model with its table stored as `float32`, `float16` or `int8`.

    Raises:
        QuantizeError: the numbers do not fit, or the gate is not passed; names both changes and their limit.
    """
    exact = table_of(model)
    if stored_as == exact.stored_as:
        stored = StoredTable(stored_as=stored_as, bytes=exact.nbytes, bytes_as_float32=exact.nbytes)
        return Served(model=model, embedding=exact, stored=stored)
    embedding = store(exact.rows_VD, stored_as)
    changed = with_table(model, embedding)
    auc_change, log_loss_change = quality_change(model, changed, prepared)
    if not max(abs(auc_change), abs(log_loss_change)) <= LARGEST_CHANGE:
        raise QuantizeError(
            f"{model.name} with its embedding table as {stored_as}: on the validation rows the AUC changes by "
            f"{auc_change:+.6f} and the log loss by {log_loss_change:+.6f}, expected at most {LARGEST_CHANGE} each; "
            "nothing was written: export with --embedding float16 or float32"
        )
    stored = StoredTable(
        stored_as=stored_as,
        bytes=embedding.nbytes,
        bytes_as_float32=exact.nbytes,
        auc_change=auc_change,
        log_loss_change=log_loss_change,
    )
    return Served(model=changed, embedding=embedding, stored=stored)


def store(rows_VD: Numbers, stored_as: str) -> EmbeddingTable:
    """The table as `float32`, `float16` or `int8`; raises QuantizeError for a number beyond float16."""
    match stored_as:
        case "float32":
            return EmbeddingTable(rows_VD=rows_VD)
        case "float16":
            return EmbeddingTable(rows_VD=_as_float16(rows_VD))
        case "int8":
            return _as_int8(rows_VD)
    raise QuantizeError(f"--embedding is {stored_as!r}, expected one of {', '.join(STORED_AS)}")


def with_table(model: CTRModel, embedding: EmbeddingTable) -> CTRModel:
    """A copy of the model whose embeddings are those of a stored table."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed.embedding.weight_VD.copy_(torch.from_numpy(embedding.embeddings()))
    return changed


def quality_change(model: CTRModel, changed: CTRModel, prepared: Prepared) -> tuple[float, float]:
    """How much AUC and log loss on the validation rows differ between a model and a changed one."""
    rows = TensorRows.of(prepared.rows("validation"))
    before, after = (click_metrics(predict(each, rows.ids_NF), rows) for each in (model, changed))
    return after["auc"] - before["auc"], after["log_loss"] - before["log_loss"]


def _as_float16(rows_VD: Numbers) -> np.ndarray:
    with np.errstate(over="ignore"):
        halves_VD = rows_VD.astype(np.float16)
    beyond = ~np.isfinite(halves_VD).all(axis=1)
    if beyond.any():
        row = int(beyond.argmax())
        raise QuantizeError(
            f"embedding table as float16: {int(beyond.sum())} row(s) have numbers beyond ±65504, row {row} first with "
            f"{np.abs(rows_VD[row]).max():g}; export with --embedding int8 or float32"
        )
    return halves_VD


def _as_int8(rows_VD: Numbers) -> EmbeddingTable:
    scale_V1 = np.abs(rows_VD).max(axis=1, keepdims=True) / np.float32(_LEVELS)
    # A row of zeros has the scale 0, and so has one too small to divide: both are stored as zeros.
    steps_VD = np.divide(rows_VD, scale_V1, out=np.zeros_like(rows_VD), where=scale_V1 > 0)
    return EmbeddingTable(rows_VD=np.clip(np.rint(steps_VD), -_LEVELS, _LEVELS).astype(np.int8), scale_V1=scale_V1)
