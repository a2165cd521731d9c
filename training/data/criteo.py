"""Criteo Display Advertising (Kaggle 2014) in the protocol of KD-DAGFM: 39 fields, seed-2022 split 8:1:1.

    label I1 … I13 C1 … C26, separated by tabs, no header; 45,840,617 rows in `train.txt`
    numbers: x > 2 → ceil(ln(x)² + 1), smaller ones as they are; what comes out is a category
    a value in fewer than 8 rows → unknown (id 1); missing → id 0

Columns are anonymous: nobody knows which belong to the user and which to the advertisement. So all are candidate
fields (Fc = 0), and nothing is computed once per request. There is no item id and so no catalogue. The data may not
be redistributed, so they are never part of this project.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Option

from service.bundle import Category, Role
from training.data.click_log import ClickLog, DataError
from training.data.coded_columns import Source
from training.data.coded_log import FieldPlan, Plan, coded_log
from training.data.reading import Form, read_files
from training.data.splits import split_rows
from training.data.texts import click, number

NAME = "criteo"
LABEL = "label"
NUMBERS = tuple(f"I{i}" for i in range(1, 14))
CATEGORIES = tuple(f"C{i}" for i in range(1, 27))
COLUMNS = (LABEL, *NUMBERS, *CATEGORIES)


class CountedOptions(BaseModel):
    """What Criteo and Avazu leave to choose."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    count_on: Literal["all", "train"] = "all"
    """Rows that are counted for `min_count`: all, as published, or the training rows alone."""
    seed: int = Option(default=2022, ge=0)
    """Of the split 8:1:1."""
    rows: int | None = Option(default=None, ge=1)
    """Rows that the file must hold: guards against one that was cut short."""


class CriteoOptions(CountedOptions):
    """[data] set = "criteo"."""

    min_count: int = Option(default=8, ge=1)
    """Rows that a value needs to have an id of its own."""


def read(options: CriteoOptions, path: Path | None) -> ClickLog:
    """The click log of `train.txt` or of any file like it, plain or gzip.

    Raises:
        DataError: naming file, line, found and expected.
    """
    if path is None:
        raise DataError("criteo: no file given; expected the Kaggle train.txt, plain or .gz: --data PATH or CTR_DATA")
    form = Form(separator="\t", quoted=False, tables=np.arange(len(COLUMNS), dtype=np.int32))
    rows, source = read_files([path], COLUMNS, form)
    check_rows(path, rows.rows, options.rows)
    plan = Plan(
        name=NAME,
        fields=[
            *(_field(name, options, Source(column=name, read=number), Category("log_squared")) for name in NUMBERS),
            *(_field(name, options, Source(column=name), None) for name in CATEGORIES),
        ],
        click=Source(column=LABEL, read=click),
        split=lambda rows: split_rows(rows.rows, options.seed),
        count_on=options.count_on,
        teachers={},
    )
    return coded_log(rows, plan, {"data_set": "Criteo Display Advertising", **source, **options.model_dump()})


def check_rows(path: Path, found: int, expected: int | None) -> None:
    """Raise DataError if a file does not hold the rows it must."""
    if expected is not None and found != expected:
        raise DataError(f"{path}: found {found:,} rows, expected {expected:,} ([data] rows); is the file cut short?")


def _field(name: str, options: CriteoOptions, source: Source, rule: Category | None) -> FieldPlan:
    return FieldPlan(name=name, role=Role.CANDIDATE, source=source, rule=rule, min_count=options.min_count)
