"""Reading the files of a log into coded rows: with progress, and what was read for the lineage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from training.data.blocks import blocks
from training.data.click_log import DataError
from training.data.coded_rows import CodedRows, Codes, Lines, check_room
from training.progress import rows_bar

Header = Callable[[Path, list[str]], Codes]
"""(file, names in its header) → table of each column, -1 for one passed over; raises DataError."""
GZIP_SHRINKS = 4
"""About: only to see in advance whether the codes will fit on the disk."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the files look like: separator, quotes, and a header or the tables of the columns."""

    separator: str
    quoted: bool
    tables: Header | Codes
    counted: str = "line"


Report = Callable[[int, int], object]
"""Told the rows and the bytes read so far."""
Pieces = Iterator[tuple[bytes, int]]
"""Blocks of whole lines, each with the bytes of the file read so far."""


def read_files(paths: Sequence[Path], names: Sequence[str], form: Form) -> tuple[CodedRows, dict[str, Any]]:
    """The rows of all text files, one after the other, and name and SHA-256 of the content of each.

    Raises:
        DataError: a file that is missing, cut short or empty, a bad line, no room for the codes.
    """
    return read_pieces(paths, names, form, lambda path: blocks(path, quoted=form.quoted))


def read_pieces(
    paths: Sequence[Path], names: Sequence[str], form: Form, pieces_of: Callable[[Path], Pieces]
) -> tuple[CodedRows, dict[str, Any]]:
    """As `read_files`, where `pieces_of` says what text a file holds."""
    rows, digests = CodedRows(names), {}
    with rows_bar("read", sum(size_of(path) for path in paths)) as report:
        done = 0
        for path in paths:
            digest = hashlib.sha256()
            _read_file(
                path,
                _digested(pieces_of(path), digest.update),
                rows,
                form,
                partial(_report_from, report, done),
            )
            digests[path.name] = digest.hexdigest()
            done += size_of(path)
    return rows, {"files": [path.name for path in paths], "sha256": digests, "rows": rows.rows}


def _report_from(report: Report, before: int, rows: int, position: int) -> None:
    report(rows, before + position)


def _digested(pieces: Pieces, update: Callable[[bytes], object]) -> Pieces:
    """The pieces; each is digested in a thread while it is coded."""
    with ThreadPoolExecutor(1) as pool:
        digesting: Future[object] | None = None
        for block, position in pieces:
            if digesting is not None:
                digesting.result()
            digesting = pool.submit(update, block)
            yield block, position


def size_of(path: Path) -> int:
    """Bytes; raises DataError if there is no such file."""
    if not path.is_file():
        raise DataError(f"{path}: not found; expected a file (--data PATH)")
    return path.stat().st_size


def _read_file(
    path: Path,
    pieces: Iterator[tuple[bytes, int]],
    rows: CodedRows,
    form: Form,
    report: Report,
) -> None:
    first, position = next(pieces, (b"", 0))
    header = 0
    tables = form.tables
    if not isinstance(tables, np.ndarray):
        line, _, first = first.partition(b"\n")
        tables, header = tables(path, header_names(path, line, form)), 1
    if not first:
        raise DataError(f"{path}, {form.counted} {1 + (header if form.counted == 'line' else 0)}: found the end of the "
                        "file, expected at least one row")  # fmt: skip
    reached = [position]

    def content() -> Iterator[bytes]:
        yield first
        for block, at in pieces:
            reached[0] = at
            yield block

    _check_room(path, first, len(rows.names))
    lines = Lines(
        path=path, blocks=content(), separator=form.separator.encode(), quoted=form.quoted, tables=tables,
        header=header, counted=form.counted,
    )  # fmt: skip
    rows.read(lines, lambda count: report(count, reached[0]))


def header_names(path: Path, line: bytes, form: Form) -> list[str]:
    """The names in a header line."""
    try:
        text = line.decode("utf-8-sig").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line 1: found byte 0x{line[error.start]:02x}, expected UTF-8") from error
    return [name.strip('"') if form.quoted else name for name in text.split(form.separator)]


def tables_of(columns: Sequence[str], found: Sequence[str]) -> Codes:
    """For each column found its place among `columns`, or -1."""
    places: Mapping[str, int] = {name: place for place, name in enumerate(columns)}
    return np.array([places.get(name, -1) for name in found], np.int32)


def _check_room(path: Path, block: bytes, columns: int) -> None:
    """Guess the rows of the file by its first block."""
    content = size_of(path) * (GZIP_SHRINKS if path.suffix == ".gz" else 1)
    check_room(None, int(content / len(block) * block.count(b"\n")), columns)
