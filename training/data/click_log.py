"""ClickLog: what every data set gives to prepare, whatever its files look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from service.bundle import Schema, Vocabulary

if TYPE_CHECKING:
    from training.data.coded_columns import CodedColumns

Rows = npt.NDArray[np.int64]


class DataError(ValueError):
    """A data file is missing or is not what its format says; the message names file, line, found and expected."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Row numbers of the three parts, disjoint; training order is whatever the protocol says."""

    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True, kw_only=True)
class ClickLog:
    """N impressions with their clicks, as raw columns in the schema's terms.

    Attributes:
        name: data set's name, `[a-z0-9_-]+`.
        schema: the fields, context first.
        columns: one column per field (text for categorical fields, numbers for numeric ones; null is missing), or the
            same on disk, where a log may be larger than memory; the rows of a part then stand in the log's order.
        clicks_N: 1.0 clicked, 0.0 not, float32.
        split: rows of training, validation and test.
        vocabularies: one per field that needs one.
        item_field: name of the field whose values are the catalogue's item ids; None for a log without items.
        items: one row per item, a column per candidate field; None with `item_field`.
        group_field: name of the field within whose values rows are ranked against each other (GAUC), if there is one.
        true_probability_N: the click model's own probability per row, where the data came from one.
        teacher_logits: logits float32 [N] that other models gave these rows, by name.
        source: what was read, for the lineage: path or recipe, digest, counts.
    """

    name: str
    schema: Schema
    columns: pl.DataFrame | CodedColumns
    clicks_N: npt.NDArray[np.float32]
    split: Split
    vocabularies: dict[str, Vocabulary]
    item_field: str | None
    items: pl.DataFrame | None
    group_field: str | None = None
    true_probability_N: npt.NDArray[np.float64] | None = None
    teacher_logits: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    source: dict[str, Any]
