"""CodedRows: every row of a log as codes of its columns' distinct texts, in a file of 4 bytes a value.

Reading is the only pass over the text. What comes after (counting, ids, clicks) works on codes: 4 bytes a value on
disk, deleted when the last reference goes, and in memory only the distinct texts (56 bytes each and their own length)
and one block. Criteo's 45.8M rows of 40 columns: 7.3 GB of codes in the temporary folder (TMPDIR), 34M texts in 2-3 GB;
the split, clicks and parts of a row add about 50 bytes. Parsing the text twice would save the disk, and the time again.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.data.click_log import DataError
from training.data.columns import LONG, QUOTE, SHORT, Columns

Codes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

_CODE_BYTES = 4
_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Lines:
    """How the lines of one file are read.

    Attributes:
        path: for messages.
        blocks: whole lines, each block with a line end at its end.
        separator: one byte.
        quoted: whether values may stand in quotes.
        tables: for each column of the file the index of its name in `CodedRows.names`, -1 for one passed over.
        header: lines before the first row.
        counted: what a row is called in messages: `line`, or `row` where lines and rows differ.
    """

    path: Path
    blocks: Iterable[bytes]
    separator: bytes
    quoted: bool
    tables: Codes
    header: int = 0
    counted: str = "line"

    def place(self, row: int) -> str:
        """Where the file's row (0-based) stands, for a message."""
        return f"{self.path}, {self.counted} {row + 1 + (self.header if self.counted == 'line' else 0)}"


class CodedRows:
    """Rows being read, then read: C columns of codes.

    Args:
        names: of the columns that are kept.
        folder: where the codes are kept meanwhile; the temporary folder if None.
    """

    def __init__(self, names: Sequence[str], folder: Path | None = None) -> None:
        self.names = tuple(names)
        self._columns = [Columns(len(self.names)) for _ in range(_THREADS)]
        """Columns are dealt to threads: each cuts every line, and codes its own columns."""
        self.rows = 0
        self._file = tempfile.TemporaryFile(dir=folder, prefix="codes.tmp-")  # noqa: SIM115 - lives as long as the rows
        weakref.finalize(self, self._file.close)
        self._blocks: list[tuple[int, int]] = []
        """(first row, rows) of each block; its codes [C, rows] stand after those of the blocks before."""
        self._files: list[tuple[int, Lines]] = []

    def read(self, lines: Lines, report: Callable[[int], object] = lambda _rows: None) -> None:
        """Add the rows of a file; `report` is told how many rows there are so far.

        Raises:
            DataError: a line with too few or too many columns, a quote left open, bytes that are not UTF-8.
        """
        self._files.append((self.rows, lines))
        written: Future[object] | None = None
        with ThreadPoolExecutor(1) as writer, ThreadPoolExecutor(_THREADS) as coders:
            for block in lines.blocks:
                codes_CN = self._coded(lines, block, coders)
                if written is not None:
                    written.result()
                self._blocks.append((self.rows, codes_CN.shape[1]))
                written = writer.submit(self._file.write, codes_CN.data)
                self.rows += codes_CN.shape[1]
                report(self.rows)
            if written is not None:
                written.result()
        self._file.flush()

    def blocks(self) -> Iterator[tuple[int, Codes]]:
        """(first row, codes [C, rows]) of each block, in order, mapped from the file."""
        if not self.rows:
            return
        codes_B = np.memmap(self._file, np.int32, mode="r")
        for first, rows in self._blocks:
            start = first * len(self.names)
            yield first, codes_B[start : start + rows * len(self.names)].reshape(len(self.names), rows)

    def codes(self, name: str) -> Codes:
        """The codes [N] of one column."""
        parts = [codes_CN[self.index(name)] for _first, codes_CN in self.blocks()]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)

    def index(self, name: str) -> int:
        """The column's place in `names`."""
        return self.names.index(name)

    def size(self, name: str) -> int:
        """1 + the column's distinct texts."""
        table = self.index(name)
        return self._columns[table % _THREADS].size(table)

    def texts(self, name: str, codes: Codes) -> list[str]:
        """The texts of these codes."""
        table = self.index(name)
        return self._columns[table % _THREADS].texts(table, np.ascontiguousarray(codes, np.int32))

    def counts(self, name: str, among: npt.NDArray[np.bool_] | None = None) -> Counts:
        """Rows per code: of all rows, or of those that `among` [N] marks."""
        counts, table = np.zeros(self.size(name), np.int64), self.index(name)
        if among is None:
            self._columns[table % _THREADS].counts(table, counts)
            return counts
        for first, codes_CN in self.blocks():
            codes_N = codes_CN[table]
            np.add.at(counts, codes_N[among[first : first + len(codes_N)]], 1)
        return counts

    def place(self, row: int) -> str:
        """File and line of a row, for a message."""
        at = bisect_right([first for first, _lines in self._files], row) - 1
        first, lines = self._files[at]
        return lines.place(row - first)

    def place_of(self, name: str, code: int) -> str:
        """Where a code of a column occurs first."""
        for first, codes_CN in self.blocks():
            found = np.flatnonzero(codes_CN[self.index(name)] == code)
            if len(found):
                return self.place(first + int(found[0]))
        raise ValueError(f"{name}: code {code} occurs in no row")

    def _coded(self, lines: Lines, block: bytes, coders: ThreadPoolExecutor) -> Codes:
        # A row has a byte for each of its columns at least; pages that no code is written to cost nothing.
        out_CN = np.empty((len(self.names), len(block) // len(lines.tables)), np.int32)

        def code(thread: int) -> tuple[int, int]:
            tables = np.where(lines.tables % _THREADS == thread, lines.tables, -1).astype(np.int32)
            return self._columns[thread].read(block, lines.separator, lines.quoted, tables, out_CN)

        coding = [coders.submit(code, thread) for thread in range(_THREADS)]
        _check_utf8(lines, block, self.rows - self._files[-1][0])
        rows, wrong = max(done.result() for done in coding)  # each cut the same lines
        if wrong:
            place = lines.place(self.rows - self._files[-1][0] + rows)
            raise DataError(f"{place}: {_found(lines, block, rows, wrong)}, expected {len(lines.tables)} columns")
        return np.ascontiguousarray(out_CN[:, :rows])


def check_room(folder: Path | None, rows: int, columns: int) -> None:
    """Raise DataError if the temporary folder cannot take the codes of so many rows."""
    where = folder or Path(tempfile.gettempdir())
    needed, free = rows * columns * _CODE_BYTES, shutil.disk_usage(where).free
    if needed > free:
        raise DataError(
            f"{where}: {free / 1e9:.1f} GB free, about {needed / 1e9:.1f} GB needed for {rows:,} rows while they are "
            "encoded; set TMPDIR to a folder with more"
        )


def _check_utf8(lines: Lines, block: bytes, first_row: int) -> None:
    if block.isascii():
        return
    try:
        block.decode()
    except UnicodeDecodeError as error:
        place = lines.place(first_row + block.count(b"\n", 0, error.start))
        raise DataError(f"{place}: found byte 0x{block[error.start]:02x}, expected UTF-8") from error


def _found(lines: Lines, block: bytes, row: int, wrong: int) -> str:
    """What is wrong with a row of a block, and how it begins."""
    if wrong == QUOTE:
        return "found a quote that is not closed, or text after one that is"
    if lines.quoted:
        return f"found {({SHORT: 'too few', LONG: 'too many'})[wrong]} columns"
    line = block.split(b"\n", row + 1)[row]
    return f"found {line.count(lines.separator) + 1} columns {line[:80].decode(errors='replace')!r}"
