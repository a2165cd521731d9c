"""A click log out of coded rows: clicks, split, vocabularies and items, each from the distinct texts of its column.

Nothing here loops over rows in Python: a column is a text per code and a code per row. Vocabularies and ids are those
that `Vocabulary.fit` and `Encoder` give the raw values, because they are what is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from service.bundle import Buckets, Category, Field, Role, Schema, Vocabulary
from service.bundle.numeric import TRANSFORMS, NumericRule
from training.data.click_log import ClickLog, DataError, Split
from training.data.coded_columns import CodedColumns, Source, part_of_rows, read_texts
from training.data.coded_rows import CodedRows, Codes, Counts
from training.data.texts import number

Marked = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Quantiles:
    """Buckets of about equally many training rows, as many as `buckets`; fewer where values repeat."""

    buckets: int


@dataclass(frozen=True, kw_only=True)
class FieldPlan:
    """One field: where its values come from and how they become ids.

    Attributes:
        name: the field's.
        role: context or candidate.
        source: its column, and how a text is read.
        rule: of a numeric field.
        min_count: rows that a value needs to be in the vocabulary; of a value, for a numeric field, after its
            transform.
    """

    name: str
    role: Role
    source: Source
    rule: NumericRule | Quantiles | None = None
    min_count: int = 1


@dataclass(frozen=True)
class Items:
    """Which field names the items, and what to do with an item that changes: refuse it, or let the last row win."""

    field: str
    changed: Literal["error", "last"] = "error"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How coded rows become a click log.

    Attributes:
        name: the data set's.
        fields: in the order of the log; context fields are moved to the front.
        click: column and reading of the click.
        split: rows → parts.
        count_on: the rows in which a value must occur often enough: all, or the training rows.
        items: None for a log without a catalogue.
        group_field: the field within whose values rows are ranked.
        teachers: name → column of logits.
    """

    name: str
    fields: Sequence[FieldPlan]
    click: Source
    split: Callable[[CodedRows], Split]
    count_on: Literal["all", "train"]
    items: Items | None = None
    group_field: str | None = None
    teachers: Mapping[str, Source]

    @property
    def columns(self) -> list[str]:
        """Every column that is read, each once."""
        sources = [self.click, *(field.source for field in self.fields), *self.teachers.values()]
        return list(dict.fromkeys(source.column for source in sources))


def coded_log(rows: CodedRows, plan: Plan, source: Mapping[str, Any]) -> ClickLog:
    """The click log of these rows.

    Raises:
        DataError: no rows, a value that is not what its column holds, an item that changes or is missing.
    """
    if not rows.rows:
        raise DataError(f"{plan.name}: found no rows, expected at least one")
    clicks_N = numbers_of(rows, plan.click, np.float32)
    teacher_logits = {name: numbers_of(rows, column, np.float32) for name, column in plan.teachers.items()}
    split = _in_log_order(plan.split(rows))
    among = part_of_rows(split, rows.rows) == 0
    counted = among if plan.count_on == "train" else None
    schema = Schema.of([_field(rows, field, among) for field in plan.fields])
    columns = CodedColumns(rows, {field.name: field.source for field in plan.fields})
    fields = {field.name: field for field in schema.fields}
    return ClickLog(
        name=plan.name,
        schema=schema,
        columns=columns,
        clicks_N=clicks_N,
        split=split,
        vocabularies={
            field.name: _vocabulary(rows, field, fields[field.name].numeric, counted)
            for field in plan.fields
            if not isinstance(fields[field.name].numeric, Buckets)
        },
        item_field=None if plan.items is None else plan.items.field,
        items=None if plan.items is None else _items(columns, schema, plan),
        group_field=plan.group_field,
        teacher_logits=teacher_logits,
        source=dict(source),
    )


def numbers_of(rows: CodedRows, source: Source, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A column of numbers [N]; raises DataError at the first row without one."""
    size = rows.size(source.column)
    values = np.empty(size, np.float64)
    values[1:] = read_texts(rows, source.column, np.arange(1, size, dtype=np.int32), source.read or number)
    result_N = values.astype(dtype)[rows.codes(source.column)]
    if rows.counts(source.column)[0]:
        raise DataError(f"{rows.place_of(source.column, 0)}: found no value as {source.column}, expected one")
    return result_N


def _in_log_order(split: Split) -> Split:
    """Rows of a part in the order of the log: then a log of any size is written in one pass. Epochs shuffle anyway."""
    return Split(train=np.sort(split.train), validation=np.sort(split.validation), test=np.sort(split.test))


def _field(rows: CodedRows, plan: FieldPlan, among: Marked) -> Field:
    rule = _quantiles(rows, plan, plan.rule, among) if isinstance(plan.rule, Quantiles) else plan.rule
    return Field(name=plan.name, role=plan.role, numeric=rule)


def _quantiles(rows: CodedRows, plan: FieldPlan, rule: Quantiles, among: Marked) -> Buckets:
    """Edges at the quantiles of the training rows that have a number: values of the log, each once."""
    counts = rows.counts(plan.source.column, among)[1:]
    codes = np.arange(1, len(counts) + 1, dtype=np.int32)
    values = np.array(read_texts(rows, plan.source.column, codes, plan.source.read), np.float64)
    order = np.argsort(values, kind="stable")
    below = np.cumsum(counts[order])
    if not len(below) or not below[-1]:
        raise DataError(f"{plan.name}: no training row has a number, expected some to learn quantiles from")
    at = np.searchsorted(below, below[-1] * np.arange(1, rule.buckets) / rule.buckets, side="right")
    edges = np.unique(values[order][np.minimum(at, len(order) - 1)])
    return Buckets(tuple(edges.tolist()))


def _vocabulary(rows: CodedRows, plan: FieldPlan, rule: NumericRule | None, among: Marked | None) -> Vocabulary:
    counts = rows.counts(plan.source.column, among)
    counts[0] = 0
    if rule is None and plan.source.read is None:
        counts[counts < plan.min_count] = 0  # the rare ones, most of them, need never become Python's
    return Vocabulary.fit(_counted(rows, plan, rule, counts), min_count=plan.min_count)


def _counted(rows: CodedRows, plan: FieldPlan, rule: NumericRule | None, counts: Counts) -> Mapping[str, int]:
    """Value, as the encoder looks it up → rows."""
    codes = np.flatnonzero(counts).astype(np.int32)
    if rule is None and plan.source.read is None:
        return dict(zip(rows.texts(plan.source.column, codes), counts[codes].tolist(), strict=True))
    counted: Counter[str] = Counter()
    raw = read_texts(rows, plan.source.column, codes, plan.source.read)
    for value, count in zip(raw, counts[codes].tolist(), strict=True):
        if value is not None:
            counted[str(TRANSFORMS[rule.transform](float(value)) if isinstance(rule, Category) else value)] += count
    return counted


def _items(columns: CodedColumns, schema: Schema, plan: Plan) -> pl.DataFrame:
    """One row per item, by first appearance: the candidate fields, as they were in the item's row."""
    assert plan.items is not None  # noqa: S101 - asked for only then
    rows = columns.rows
    column_of = {field.name: field.source.column for field in plan.fields}
    names = [field.name for field in schema.candidate]
    if plan.items.field not in names:
        raise DataError(
            f"{plan.name}: the item field is {plan.items.field!r}, expected one of the candidate fields {names}"
        )
    at = [rows.index(column_of[name]) for name in names]
    column = column_of[plan.items.field]
    known_IF = np.full((rows.size(column), len(names)), -1, np.int32)
    for first, codes_CN in rows.blocks():
        item_N, codes_NF = codes_CN[rows.index(column)], codes_CN[at].T
        absent = np.flatnonzero(item_N == 0)
        if len(absent):
            place = rows.place(first + int(absent[0]))
            raise DataError(f"{place}: found no value as {column}, expected an item")
        if plan.items.changed == "last":
            last = len(item_N) - 1 - np.unique(item_N[::-1], return_index=True)[1]
            known_IF[item_N[last]] = codes_NF[last]
            continue
        changed = _first_changed(item_N, codes_NF, known_IF)
        if changed is not None:
            row, place = changed[0], rows.place(first + changed[0])
            raise DataError(
                f"{place}: item {rows.texts(column, item_N[[row]])[0]!r} has another {names[changed[1]]} than in a row "
                f"before; make {names[changed[1]]} a context field, or let the last row win: [data.item] changed = "
                '"last"'
            )
    values = {name: columns.raw_values(name, known_IF[1:, f]) for f, name in enumerate(names)}
    return pl.DataFrame({name: pl.Series(name, column, strict=False) for name, column in values.items()})


def _first_changed(item_N: Codes, codes_NF: Codes, known_IF: Codes) -> tuple[int, int] | None:
    """Enter the items that are new; the first row and field in which a known one differs, if any does."""
    first = np.unique(item_N, return_index=True)[1]
    first = first[known_IF[item_N[first], 0] < 0]
    known_IF[item_N[first]] = codes_NF[first]
    row, field = np.nonzero(known_IF[item_N] != codes_NF)
    return (int(row[0]), int(field[0])) if len(row) else None
