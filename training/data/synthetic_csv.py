r"""The synthetic click log as a file: one CSV with a header, a line per impression, written whole or not at all.

    <fields in schema order>,click,true_probability

UTF-8, `\n` line ends (the last line too: that is how a cut file is told), no quotes, a missing value is empty.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from service.bundle import replace_file
from training.data.click_log import ClickLog, DataError
from training.data.synthetic_format import ITEM_FIELD, NAME, SCHEMA, SCHEMA_FIELDS, SyntheticConfig, click_log

CLICK = "click"
TRUE_PROBABILITY = "true_probability"
COLUMNS = (*SCHEMA_FIELDS, CLICK, TRUE_PROBABILITY)
NUMBERS = {
    "days_since_signup": pl.Int64,
    "price": pl.Float64,
    "days_since_listed": pl.Int64,
    TRUE_PROBABILITY: pl.Float64,
}


def write_csv(log: ClickLog, path: Path) -> None:
    """Write a synthetic click log to `path`; a file already there stays until the new one is whole."""
    if log.name != NAME or log.true_probability_N is None or not isinstance(log.columns, pl.DataFrame):
        raise ValueError(f"only a synthetic click log can be written here: got {log.name!r}, expected {NAME!r}")
    rows = log.columns.with_columns(
        pl.Series(CLICK, log.clicks_N.astype(np.int64)), pl.Series(TRUE_PROBABILITY, log.true_probability_N)
    )
    buffer = io.BytesIO()
    rows.write_csv(buffer, quote_style="never")
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())


def read_csv(path: Path, config: SyntheticConfig) -> ClickLog:
    """The click log in `path`; of `config`, seed and min_count count: with them split and vocabularies are those of
    `generate`. `items` holds the items that occur, by first appearance.

    Raises:
        DataError: naming file, line, found and expected, for a missing or cut file, a line with a wrong number of
            columns, bytes that are not UTF-8, a click that is not 0 or 1, a number that is none, a missing item.
    """
    content = _read(path)
    rows = _parse(path, content)
    clicks_N = _clicks(path, rows[CLICK])
    numbers = {name: _numbers(path, rows[name], kind) for name, kind in NUMBERS.items()}
    _check_probabilities(path, numbers[TRUE_PROBABILITY])
    _refuse(path, rows[ITEM_FIELD].is_null().to_numpy(), rows[ITEM_FIELD], f"an item as {ITEM_FIELD}")
    columns = rows.with_columns(numbers.values()).select(*SCHEMA_FIELDS)
    return click_log(
        columns=columns,
        clicks_N=clicks_N,
        true_probability_N=numbers[TRUE_PROBABILITY].to_numpy(),
        items=columns.select(field.name for field in SCHEMA.candidate).unique(ITEM_FIELD, maintain_order=True),
        config=config,
        source=_source(path, content, config),
    )


def _source(path: Path, content: bytes, config: SyntheticConfig) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    return {"recipe": NAME, "file": path.name, "sha256": digest, "seed": config.seed, "min_count": config.min_count}


def _read(path: Path) -> bytes:
    """The file's bytes, known to be UTF-8 and to end with a whole line."""
    if not path.is_file():
        raise DataError(f"{path}: not found; expected a CSV of {len(COLUMNS)} columns: generate it first")
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x}"
        raise DataError(f"{path}, line {line}: found {found} at offset {error.start}, expected UTF-8") from error
    if not content.endswith(b"\n"):
        line, found = content.count(b"\n") + 1, content[-80:].rsplit(b"\n", 1)[-1].decode(errors="replace")
        raise DataError(
            f"{path}, line {line}: found the end of the file after {found!r}, expected a line end: cut short"
        )
    return content


def _parse(path: Path, content: bytes) -> pl.DataFrame:
    """Every value as text (null where empty); each line has as many columns as the header."""
    header, _, body = content.partition(b"\n")
    if header.decode() != ",".join(COLUMNS):
        raise DataError(f"{path}, line 1: found {header.decode()[:200]!r}, expected {','.join(COLUMNS)!r}")
    if not body:
        raise DataError(f"{path}, line 2: found the end of the file, expected at least one row")
    bytes_B = np.frombuffer(body, np.uint8)
    ends_N = np.flatnonzero(bytes_B == ord("\n"))
    columns_N = np.diff(np.searchsorted(np.flatnonzero(bytes_B == ord(",")), ends_N), prepend=0) + 1
    _refuse(path, columns_N != len(COLUMNS), pl.Series(columns_N), f"{len(COLUMNS)} columns")
    return pl.read_csv(body, has_header=False, new_columns=COLUMNS, infer_schema=False, quote_char=None)


def _clicks(path: Path, column: pl.Series) -> npt.NDArray[np.float32]:
    _refuse(path, ~column.is_in(["0", "1"]).fill_null(value=False).to_numpy(), column, f"{CLICK} 0 or 1")
    return (column == "1").cast(pl.Float32).to_numpy()


def _numbers(path: Path, column: pl.Series, kind: type[pl.DataType]) -> pl.Series:
    """The column as numbers; null stays null."""
    numbers = column.cast(kind, strict=False)
    bad_N = (numbers.is_null() & column.is_not_null()) | ~numbers.is_finite().fill_null(value=True)
    _refuse(path, bad_N.to_numpy(), column, f"a number ({kind.__name__}) as {column.name}")
    return numbers


def _check_probabilities(path: Path, column: pl.Series) -> None:
    inside_N = ((column > 0) & (column < 1)).fill_null(value=False)
    _refuse(path, ~inside_N.to_numpy(), column, f"{TRUE_PROBABILITY} between 0 and 1")


def _refuse(path: Path, bad_N: npt.NDArray[np.bool_], found_N: pl.Series, expected: str) -> None:
    """Raise DataError at the first bad row, if any; row 0 stands on line 2."""
    if bad_N.any():
        row = int(bad_N.argmax())
        raise DataError(f"{path}, line {row + 2}: found {found_N[row]!r}, expected {expected}")
