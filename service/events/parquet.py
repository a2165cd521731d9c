"""Every table of a store as a Parquet file, for notebooks and warehouses: one consistent state of all of them.

Times become timestamps, probabilities lists of numbers. Files are written under another name and renamed when they are
whole, so that a reader never sees half of one. Needs the extra `parquet` (pyarrow).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from service.events.sql import SqlStore
from service.events.store import Session
from service.events.tables import ANSWER, EXPOSURE, FEEDBACK, LOSS, SHADOW, Table

REVISION = Table("revision", ("revision", "ts_ms", "action", "reason", "document"))
EXPORTED = (EXPOSURE, ANSWER, FEEDBACK, SHADOW, LOSS, REVISION)
GROUP_ROWS = 100_000
"""Rows of a row group."""

_TIME = pa.timestamp("ms", tz="UTC")
_TYPES = {
    **dict.fromkeys(("ts_ms", "ts_client_ms", "ts_server_ms"), _TIME),
    **dict.fromkeys(("exposure_id", "unit_hash"), pa.binary(16)),
    **dict.fromkeys(("phase", "revision", "n_candidates", "status", "dropped"), pa.int64()),
    **dict.fromkeys(("fallback", "late", "future", "top_1_flip"), pa.bool_()),
    **dict.fromkeys(("propensity", "latency_us", "value", "kendall_tau_b", "top_k_overlap"), pa.float64()),
    **dict.fromkeys(("rank_biased_overlap", "primary_sum", "shadow_sum", "primary_us", "shadow_us"), pa.float64()),
    **dict.fromkeys((name for name in SHADOW.columns if name.endswith("_gap")), pa.float64()),
    "probabilities": pa.list_(pa.float32()),
}
"""Column → its type; text where none is named."""


def export(store: SqlStore, directory: Path, told: Callable[[str, int], None] = lambda _table, _rows: None) -> None:
    """Write `exposure.parquet`, `answer.parquet`, … into a directory.

    Args:
        store: what to export.
        directory: where to; made when it does not exist, files of these names are replaced.
        told: called with a table and the number of rows after each piece that was written.

    Raises:
        StoreError: the store cannot be read.
        OSError: the files cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with store.reading() as session:
        for table in EXPORTED:
            _write(session, table, directory / f"{table.name}.parquet", told)


def _write(session: Session, table: Table, path: Path, told: Callable[[str, int], None]) -> None:
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in table.columns])
    begun = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with begun.open("wb") as file:
            with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                for rows in _groups(session, table):
                    writer.write_table(_columns(table, rows, schema))
                    told(table.name, len(rows))
            file.flush()
            os.fsync(file.fileno())
        begun.replace(path)
    finally:
        with suppress(FileNotFoundError):
            begun.unlink()


def _groups(session: Session, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """All rows of a table, GROUP_ROWS at a time."""
    order = "revision" if table is REVISION else "id"
    group: list[tuple[Any, ...]] = []
    for chunk in session.chunks(f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {order}"):  # noqa: S608 - our names
        group += chunk
        if len(group) >= GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def _columns(table: Table, rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(table.columns, zip(*rows, strict=True), strict=True)
    return pa.table([_array(name, values, schema.field(name).type) for name, values in columns], schema=schema)


def _array(name: str, values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """One column as Parquet has it: SQLite keeps booleans as numbers, both keep arrays and JSON as bytes."""
    if name == "probabilities":
        lengths = np.array([len(value) // 4 for value in values])
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        return pa.ListArray.from_arrays(offsets, pa.array(np.frombuffer(b"".join(values), "<f4")))
    if pa.types.is_boolean(kind):
        return pa.array([None if value is None else bool(value) for value in values], kind)
    if name == "items":
        return pa.array([value.decode() or None for value in values], kind)
    return pa.array(values, kind)
