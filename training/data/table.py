"""A click log of one's own: CSV or Parquet, described by the configuration.

Files are read in the order of their names, one after the other; columns are found by the header, so their order may
differ from file to file. CSV is as in RFC 4180 (quotes, doubled quotes, line ends in quotes), UTF-8, plain or gzip; an
empty value is missing. Parquet is turned into such text batch by batch, so that both are read by the same code.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from service.bundle import Buckets, Category
from service.bundle.numeric import NumericRule
from training.data import texts
from training.data.click_log import ClickLog, DataError, Split
from training.data.coded_columns import Source
from training.data.coded_log import FieldPlan, Items, Plan, Quantiles, coded_log, numbers_of
from training.data.coded_rows import CodedRows, Codes
from training.data.reading import Form, read_files, read_pieces, size_of, tables_of
from training.data.splits import split_by_time, split_rows, time_bounds
from training.data.table_options import FieldOptions, SplitOptions, TableOptions

NAME = "table"
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
_BATCH = 65_536


def read(options: TableOptions, path: Path | None) -> ClickLog:
    """The click log in `path` (a file, a folder, a pattern), or in the files that the options name.

    Raises:
        DataError: no file, an unknown column (the nearest is named), a value that is not what its column holds (file
            and row are named), a part without clicks.
    """
    files = _files(options, path)
    plan = _plan(options)
    columns = plan.columns
    if options.split.column is not None and options.split.column not in columns:
        columns = [*columns, options.split.column]
    texts_only = {field.column or field.name for field in options.fields if field.kind == "categorical"}
    if _format(options, files) == "parquet":
        rows, source = read_pieces(
            files, columns, _parquet_form(columns), lambda file: _parquet(file, columns, texts_only)
        )
    else:
        form = Form(
            separator=options.separator,
            quoted=True,
            counted="row",
            tables=lambda file, found: _tables(file, found, columns),
        )
        rows, source = read_files(files, columns, form)
    described = options.model_dump(mode="json", exclude_none=True, exclude={"files", "fields"})
    return coded_log(rows, plan, {"data_set": options.name, **source, **described})


def _plan(options: TableOptions) -> Plan:
    at_least = options.click.at_least
    gives = {"logit": texts.logit, "probability": texts.logit_of_probability}
    return Plan(
        name=options.name,
        fields=[_field(field, options) for field in options.fields],
        click=Source(
            column=options.click.column,
            read=texts.click if at_least is None else texts.click_where(lambda number: number >= at_least),
        ),
        split=lambda rows: _split(rows, options.split),
        count_on=options.count_on,
        items=None if options.item is None else Items(options.item.field, options.item.changed),
        group_field=options.group,
        teachers={
            name: Source(column=teacher.column, read=gives[teacher.gives]) for name, teacher in options.teachers.items()
        },
    )


def _field(field: FieldOptions, options: TableOptions) -> FieldPlan:
    numeric = field.kind == "numeric"
    return FieldPlan(
        name=field.name,
        role=field.role,
        source=Source(column=field.column or field.name, read=texts.number if numeric else None),
        rule=_rule(field),
        min_count=field.min_count or options.min_count,
    )


def _rule(field: FieldOptions) -> NumericRule | Quantiles | None:
    if field.transform is not None:
        return Category(field.transform)
    if field.edges is not None:
        return Buckets(field.edges)
    return None if field.quantiles is None else Quantiles(field.quantiles)


def _split(rows: CodedRows, options: SplitOptions) -> Split:
    if options.column is None:
        return split_rows(rows.rows, options.seed, validation=options.validation, test=options.test)
    time_N = numbers_of(rows, Source(column=options.column, read=texts.time), float)
    if options.validation_from is None or options.test_from is None:
        return split_by_time(time_N, *time_bounds(time_N, options.validation, options.test))
    return split_by_time(time_N, texts.time(str(options.validation_from)), texts.time(str(options.test_from)))


def _files(options: TableOptions, path: Path | None) -> list[Path]:
    """Every file meant, each once, in the order of the patterns and within one of the names."""
    patterns = [str(path)] if path is not None else list(options.files)
    if not patterns:
        raise DataError(f"{options.name}: no file given; name some as [data] files, or give --data PATH")
    found: dict[Path, None] = {}
    for pattern in patterns:
        matching = _matching(Path(pattern))
        if not matching:
            raise DataError(f"{pattern}: no such file; expected {sorted(_SUFFIXES)} or these with .gz")
        found |= dict.fromkeys(matching)
    return list(found)


def _matching(pattern: Path) -> list[Path]:
    if pattern.is_dir():
        return sorted(
            path for path in pattern.iterdir() if _suffix(path) in _SUFFIXES and not path.name.startswith(".")
        )
    if pattern.exists():
        return [pattern]
    anchor = Path(pattern.anchor)
    return sorted(anchor.glob(str(pattern.relative_to(anchor)))) if "*" in str(pattern) else []


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def _format(options: TableOptions, files: list[Path]) -> str:
    formats = {options.format or _SUFFIXES.get(_suffix(path), "csv") for path in files}
    if len(formats) > 1:
        raise DataError(f"{options.name}: found CSV and Parquet files, expected one kind; give [data] format or files")
    return formats.pop()


def _tables(path: Path, found: list[str], columns: list[str]) -> Codes:
    for column in columns:
        if column not in found:
            close = difflib.get_close_matches(column, found, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise DataError(f"{path}: has no column {column!r}{hint} Found: {found}")
    twice = sorted({column for column in columns if found.count(column) > 1})
    if twice:
        raise DataError(f"{path}: has column {twice[0]!r} twice, expected every column once")
    return tables_of(columns, found)


def _parquet_form(columns: list[str]) -> Form:
    return Form(separator=",", quoted=True, counted="row", tables=tables_of(columns, columns))


def _parquet(path: Path, columns: list[str], texts_only: set[str]) -> Iterator[tuple[bytes, int]]:
    """Batches of a Parquet file as CSV without a header, each with the share of the file read, in bytes."""
    try:
        frame = pl.scan_parquet(path)
        schema = frame.collect_schema()
        _tables(path, schema.names(), columns)
        for name in columns:
            _check_kind(path, name, schema[name], categorical=name in texts_only)
        rows = frame.select(pl.len()).collect().item()
        done = 0
        for batch in frame.select(columns).collect_batches(chunk_size=_BATCH, maintain_order=True):
            done += len(batch)
            yield _as_csv(batch), size_of(path) * done // max(rows, 1)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({str(error)[:200]}); write it again") from error


def _check_kind(path: Path, name: str, kind: pl.DataType, *, categorical: bool) -> None:
    """Text, numbers, booleans (as 0 and 1) and times have a text; lists and objects have none.

    A categorical field takes no fractions, for requests may not hold any there: 3.0 and 3 would be two values.
    """
    if kind.is_nested() or isinstance(kind, pl.Binary | pl.Object):
        raise DataError(f"{path}: column {name!r} holds {kind}, expected text, numbers or times")
    if categorical and (kind.is_float() or kind.is_decimal()):
        raise DataError(
            f"{path}: column {name!r} holds {kind}, expected text or integers in a categorical field; write it "
            "so, or make the field numeric"
        )


def _as_csv(batch: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    flags = pl.selectors.boolean().cast(pl.Int8)
    batch.with_columns(flags).write_csv(buffer, include_header=False, quote_style="necessary")
    return buffer.getvalue()
