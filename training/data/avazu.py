"""Avazu click-through rate (Kaggle 2014) in the protocol of KD-DAGFM: 23 fields, seed-2022 split 8:1:1.

    id click hour C1 banner_pos site_* app_* device_* C14 … C21, separated by commas, with a header; 40,428,967 rows
    hour, YYMMDDHH → weekday (0 is Monday) and hour; id and date are dropped: 2 + 21 fields
    a value in fewer than 5 rows → unknown (id 1); missing → id 0

Where an advertisement may be shown is known before one is chosen: time, place (banner, site, app) and device are
context, 14 fields. The anonymous columns C1 and C14 … C21 may belong to the advertisement (C14 looks like its id) and
are candidate fields, 9. Were one of them the place's after all, a request would merely repeat it for each candidate.
There is no item id and so no catalogue. The data may not be redistributed, so they are never part of this project.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pydantic import Field as Option

from service.bundle import Role
from training.data.click_log import ClickLog, DataError
from training.data.coded_columns import Source
from training.data.coded_log import FieldPlan, Plan, coded_log
from training.data.coded_rows import Codes
from training.data.criteo import CountedOptions, check_rows
from training.data.reading import Form, read_files, tables_of
from training.data.splits import split_rows
from training.data.texts import click

NAME = "avazu"
PLACE = ("banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category")
DEVICE = ("device_id", "device_ip", "device_model", "device_type", "device_conn_type")
ANONYMOUS = tuple(f"C{i}" for i in (1, *range(14, 22)))
HEADER = ("id", "click", "hour", "C1", *PLACE, *DEVICE, *(f"C{i}" for i in range(14, 22)))


class AvazuOptions(CountedOptions):
    """[data] set = "avazu"."""

    min_count: int = Option(default=5, ge=1)
    """Rows that a value needs to have an id of its own."""


def read(options: AvazuOptions, path: Path | None) -> ClickLog:
    """The click log of the Kaggle `train` file or of any file like it, plain or gzip.

    Raises:
        DataError: naming file, line, found and expected.
    """
    if path is None:
        raise DataError("avazu: no file given; expected the Kaggle train file, .csv or .gz: --data PATH or CTR_DATA")
    plan = Plan(
        name=NAME,
        fields=[
            _field("weekday", Role.CONTEXT, options, Source(column="hour", read=_weekday)),
            _field("hour", Role.CONTEXT, options, Source(column="hour", read=_hour)),
            *(_field(name, Role.CONTEXT, options, Source(column=name)) for name in (*PLACE, *DEVICE)),
            *(_field(name, Role.CANDIDATE, options, Source(column=name)) for name in ANONYMOUS),
        ],
        click=Source(column="click", read=click),
        split=lambda rows: split_rows(rows.rows, options.seed),
        count_on=options.count_on,
        teachers={},
    )
    form = Form(separator=",", quoted=False, tables=lambda path, found: _tables(path, found, plan.columns))
    rows, source = read_files([path], plan.columns, form)
    check_rows(path, rows.rows, options.rows)
    return coded_log(rows, plan, {"data_set": "Avazu", **source, **options.model_dump()})


def _tables(path: Path, found: list[str], columns: list[str]) -> Codes:
    if tuple(found) != HEADER:
        raise DataError(f"{path}, line 1: found {','.join(found)[:200]!r}, expected {','.join(HEADER)!r}")
    return tables_of(columns, found)


def _field(name: str, role: Role, options: AvazuOptions, source: Source) -> FieldPlan:
    return FieldPlan(name=name, role=role, source=source, min_count=options.min_count)


@cache
def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("an hour as YYMMDDHH") from None


def _weekday(text: str) -> str:
    return str(_moment(text).weekday())


def _hour(text: str) -> str:
    return str(_moment(text).hour)
