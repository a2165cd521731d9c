"""MovieLens-1M in the protocol of KD-DAGFM: seven fields, rating 3 dropped, the seed-2022 split.

    click = 1 for ratings 4-5, 0 for ratings 1-2: 739,012 rows of the 1,000,209
    split 8:1:1 by Python's `random.seed(2022); random.shuffle(rows in file order)`: first tenth test, next tenth
    validation, the rest training

Reads the GroupLens archive as it is, zip or folder. The data may not be redistributed, so it is never part of this
project; `download` fetches it from GroupLens.
"""

from __future__ import annotations

import hashlib
import re
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from service.bundle import Field, Role, Schema, Vocabulary
from training.data.click_log import ClickLog, DataError
from training.data.splits import split_rows

URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
DOWNLOADED = Path("data/ml-1m.zip")
SCHEMA = Schema(
    (
        *(Field(name=name, role=Role.CONTEXT) for name in ("user_id", "gender", "age", "occupation", "zip_code")),
        *(Field(name=name, role=Role.CANDIDATE) for name in ("item_id", "release_year")),
    )
)
_RATINGS = {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Int64, "timestamp": pl.Int64}
_USERS = dict.fromkeys(("user_id", "gender", "age", "occupation", "zip_code"), pl.String)
_MOVIES = dict.fromkeys(("item_id", "title", "genres"), pl.String)
_YEAR = re.compile(r"\((\d{4})\)\s*$")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a whole archive holds: the checksum of what the parser must find."""

    ratings: int
    users: int
    movies: int


ML_1M = Counts(ratings=1_000_209, users=6_040, movies=3_883)


def read(source: Path, *, expected: Counts = ML_1M) -> ClickLog:
    """The click log of an ml-1m archive, a zip or the unpacked folder.

    Raises:
        DataError: a missing or truncated file, a line of the wrong shape, bytes of the wrong encoding, or counts
            other than `expected`; the message names file, line, found, expected.
    """
    contents = _contents(source)
    users = _table(contents, "users.dat", _USERS, "utf-8")
    movies = _with_release_year(_table(contents, "movies.dat", _MOVIES, "iso-8859-1"))
    ratings = _table(contents, "ratings.dat", _RATINGS, "utf-8")
    found = Counts(ratings=len(ratings), users=len(users), movies=len(movies))
    if found != expected:
        raise DataError(f"{source}: found {found}, expected {expected}: the archive is incomplete; download it again")
    return _click_log(source, ratings, users, movies, contents)


def download(target: Path, *, url: str = URL, report: Callable[[int, int], None] = lambda _done, _total: None) -> Path:
    """Fetch the archive to `target`, whole or not at all; `report` is told bytes done and bytes in total.

    Raises:
        DataError: GroupLens cannot be reached, or what came is not an archive this module reads.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.tmp-download")
    try:
        _fetch(url, partial, report)
        read(partial)
        partial.replace(target)
    except OSError as error:
        raise DataError(f"{url}: {error}; without a network, fetch it elsewhere and pass --data PATH") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _fetch(url: str, target: Path, report: Callable[[int, int], None]) -> None:
    with urllib.request.urlopen(url, timeout=30) as response, target.open("wb") as file:  # noqa: S310 - the caller chose the URL
        total = int(response.headers.get("Content-Length", 0))
        while chunk := response.read(1 << 18):
            file.write(chunk)
            report(file.tell(), total)


def _contents(source: Path) -> dict[str, bytes]:
    """The three files of the archive, by name."""
    names = ("users.dat", "movies.dat", "ratings.dat")
    if source.is_dir():
        folder = source / "ml-1m" if (source / "ml-1m").is_dir() else source
        return {name: _read_file(folder / name) for name in names}
    if not source.exists():
        raise DataError(f"{source}: not found; expected the ml-1m zip or its folder (--data PATH or CTR_DATA)")
    try:
        with zipfile.ZipFile(source) as archive:
            return {name: archive.read(f"ml-1m/{name}") for name in names}
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise DataError(f"{source}: not a whole ml-1m archive ({error}); download it again") from error


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise DataError(f"{path}: not found; expected users.dat, movies.dat and ratings.dat in the folder")
    return path.read_bytes()


def _table(
    contents: Mapping[str, bytes], name: str, schema: Mapping[str, type[pl.DataType]], encoding: str
) -> pl.DataFrame:
    """The rows of one `::`-separated file. Parsed in one go; if that fails, line by line to say where."""
    content = contents[name]
    if content and not content.endswith(b"\n"):
        last = content[content.rfind(b"\n") + 1 :][:80]
        line = content.count(b"\n") + 1
        raise DataError(f"{name}, line {line}: found {last!r} without a line end, expected one: the file is cut short")
    try:
        # polars takes one-byte separators; \x1f occurs in no file of the archive, quotes do.
        text = content.decode(encoding).replace("::", "\x1f")
        frame = pl.read_csv(text.encode(), separator="\x1f", has_header=False, schema=dict(schema), quote_char=None)
    except (UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise _first_bad_line(name, content, schema, encoding) from error
    if frame.is_empty() or sum(frame.null_count().row(0)):
        raise _first_bad_line(name, content, schema, encoding)
    return frame


def _first_bad_line(name: str, content: bytes, schema: Mapping[str, type[pl.DataType]], encoding: str) -> DataError:
    expected = "::".join(schema)
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            values = line.decode(encoding).rstrip("\r").split("::")
        except UnicodeDecodeError as error:
            return DataError(f"{name}, line {number}: byte {error.start} is not {encoding}; expected {expected}")
        if line and not _fits(values, schema):
            found = f"{len(values)} columns {line.decode(encoding)[:80]!r}"
            return DataError(f"{name}, line {number}: found {found}, expected {len(schema)} columns {expected}")
    return DataError(f"{name}: found no rows, expected lines of {expected}")


def _fits(values: list[str], schema: Mapping[str, type[pl.DataType]]) -> bool:
    integers = (value for value, kind in zip(values, schema.values(), strict=False) if kind is pl.Int64)
    return len(values) == len(schema) and all(values) and all(re.fullmatch(r"-?\d+", value) for value in integers)


def _with_release_year(movies: pl.DataFrame) -> pl.DataFrame:
    """Movies with the year of the title's last parenthesis."""
    years = [match and match.group(1) for match in map(_YEAR.search, movies["title"])]
    if None in years:
        line = years.index(None) + 1
        found = movies["title"][line - 1]
        raise DataError(f"movies.dat, line {line}: title {found!r} ends in no year, expected 'Title (1995)'")
    return movies.with_columns(pl.Series("release_year", years))


def _click_log(
    source: Path, ratings: pl.DataFrame, users: pl.DataFrame, movies: pl.DataFrame, contents: Mapping[str, bytes]
) -> ClickLog:
    _check_ratings(ratings)
    rated = ratings.filter(pl.col("rating") != 3).with_columns(pl.col("user_id", "item_id").cast(pl.String))  # noqa: PLR2004
    items = movies.select(field.name for field in SCHEMA.candidate)
    rows = rated.join(users, on="user_id", how="left", maintain_order="left")
    rows = rows.join(items, on="item_id", how="left", maintain_order="left")
    fields = [field.name for field in SCHEMA.fields]
    _check_joined(rows.select(fields))
    side = {**users.to_dict(), **items.to_dict()}
    return ClickLog(
        name="movielens",
        schema=SCHEMA,
        columns=rows.select(fields),
        clicks_N=(rows["rating"] > 3).cast(pl.Float32).to_numpy(),  # noqa: PLR2004
        split=split_rows(len(rows)),
        vocabularies={name: Vocabulary.of(side[name]) for name in fields},
        item_field="item_id",
        items=items,
        group_field="user_id",
        source=_lineage(source, contents, Counts(ratings=len(ratings), users=len(users), movies=len(movies))),
    )


def _check_ratings(ratings: pl.DataFrame) -> None:
    outside = ratings.with_row_index("line", offset=1).filter(~pl.col("rating").is_between(1, 5))
    if len(outside):
        line, rating = outside["line"][0], outside["rating"][0]
        raise DataError(f"ratings.dat, line {line}: rating {rating}, expected 1 to 5")


def _check_joined(rows: pl.DataFrame) -> None:
    for side, key, attribute in (("users.dat", "user_id", "gender"), ("movies.dat", "item_id", "release_year")):
        missing = rows.filter(pl.col(attribute).is_null())
        if len(missing):
            raise DataError(f"ratings.dat: {key} {missing[key][0]!r} is not in {side}; expected every {key} there")


def _lineage(source: Path, contents: Mapping[str, bytes], counts: Counts) -> dict[str, object]:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return {"data_set": "MovieLens-1M", "file": source.name, "sha256": digests, **asdict(counts)}


def find(explicit: Path | None) -> Path | None:
    """Where the archive is: `explicit` if given (an error later if absent), else the usual places, else None."""
    usual = (DOWNLOADED, Path("../shared/data/ml-1m.zip"))
    return explicit or next((path for path in usual if path.exists()), None)
