"""Criteo: a few lines of the format, and the real sample where it is at hand."""

import csv
import gzip
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from service.bundle import Encoder, Schema
from service.bundle.numeric import log_squared
from training.data import coded_rows
from training.data.click_log import ClickLog, DataError
from training.data.criteo import CATEGORIES, COLUMNS, LABEL, NUMBERS, CriteoOptions, read
from training.data.prepare import PARTS, Prepared, prepare
from training.data.splits import split_rows

SAMPLE = Path("../shared/data/criteo_sample.txt.gz")
ROWS = 400


def line(number: int) -> str:
    """A line of the format: numbers missing, negative and large, categories missing, frequent and rare."""
    draw = random.Random(number)  # noqa: S311 - not a secret
    numbers = [draw.choice(["", "-1", "0", "1", "2", "3", str(draw.randrange(5_000))]) for _ in NUMBERS]
    categories = [draw.choice(["", f"{draw.randrange(9):08x}", f"{draw.randrange(1 << 32):08x}"]) for _ in CATEGORIES]
    return "\t".join([str(int(number % 3 == 0)), *numbers, *categories])


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return [line(number) for number in range(ROWS)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> Path:
    path = tmp_path_factory.mktemp("criteo") / "train.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def log(path: Path) -> ClickLog:
    return read(CriteoOptions(), path)


@pytest.fixture(scope="module")
def prepared(log: ClickLog, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(log, tmp_path_factory.mktemp("prepared") / "data")


def raw_values(name: str, column: list[str]) -> list[str | int | None]:
    """A column as requests would hold it."""
    return [None if not text else int(text) if name in NUMBERS else text for text in column]


def test_ids_are_those_of_the_serving_encoder_on_the_raw_values(lines: list[str], prepared: Prepared) -> None:
    """The promise of no skew: every row of every part, encoded again from its line, column by column."""
    columns = dict(zip(COLUMNS, zip(*(text.split("\t") for text in lines), strict=True), strict=True))
    encoder = Encoder(prepared.encoder.schema, prepared.encoder.vocabularies)
    raw = {name: raw_values(name, list(columns[name])) for name in COLUMNS[1:]}
    ids_NF = encoder.encode(encoder.schema.fields, raw)
    split = split_rows(ROWS)
    for part in PARTS:
        rows = np.sort(getattr(split, part))
        np.testing.assert_array_equal(prepared.rows(part).ids_NF, ids_NF[rows])
        np.testing.assert_array_equal(prepared.rows(part).clicks_N, [float(columns[LABEL][row]) for row in rows])


def test_vocabularies_hold_the_values_of_at_least_eight_rows(lines: list[str], log: ClickLog) -> None:
    columns = dict(zip(COLUMNS, zip(*(text.split("\t") for text in lines), strict=True), strict=True))
    for name in COLUMNS[1:]:
        texts = [str(log_squared(int(text))) if name in NUMBERS else text for text in columns[name] if text]
        expected = {text for text, count in Counter(texts).items() if count >= 8}
        assert set(log.vocabularies[name].values) == expected
        assert len(expected) > 3, "too few values to tell anything"


def test_missing_is_0_and_rare_is_1(lines: list[str], prepared: Prepared) -> None:
    rows = np.sort(split_rows(ROWS).train)
    values = [lines[row].split("\t")[COLUMNS.index("C3")] for row in rows]
    ids_N = prepared.rows("train").ids_NF[:, COLUMNS.index("C3") - 1]
    assert [value == "" for value in values] == (ids_N == 0).tolist()
    assert [len(value) == 8 and not value.startswith("0000000") for value in values] == (ids_N == 1).tolist()


def test_all_39_fields_are_candidates_and_there_is_no_catalogue(prepared: Prepared) -> None:
    schema: Schema = prepared.encoder.schema
    assert [field.name for field in schema.candidate] == [*NUMBERS, *CATEGORIES]
    assert schema.context == ()
    assert prepared.catalogue is None
    assert not (prepared.directory / "catalogue.npz").exists()
    assert prepared.example["context"] == {}
    assert {len(values) for values in prepared.example["candidates"].values()} == {5}


def test_small_blocks_gzip_and_carriage_returns_change_nothing(
    path: Path, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.blocks.blocks.__kwdefaults__", {"size": 3_000})
    packed = tmp_path / "train.txt.gz"
    packed.write_bytes(gzip.compress(path.read_bytes().replace(b"\n", b"\r\n")))
    again = read(CriteoOptions(), packed)
    assert len(list(again.columns.rows.blocks())) > 10
    assert prepare(again, tmp_path / "again").digest == prepared.digest


def test_python_columns_give_the_same_folder(
    path: Path, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.data.columns_python import Columns  # noqa: PLC0415 - as a machine without a compiler has it

    monkeypatch.setattr(coded_rows, "Columns", Columns)
    assert prepare(read(CriteoOptions(), path), tmp_path / "python").digest == prepared.digest


def test_counting_training_rows_alone_leaves_the_others_values_unknown(path: Path) -> None:
    among = set(np.sort(split_rows(ROWS).train).tolist())
    counts = Counter(
        row[COLUMNS.index("C1")]
        for number, row in enumerate(csv.reader(path.read_text().splitlines(), delimiter="\t"))
        if number in among
    )
    log = read(CriteoOptions(count_on="train", min_count=20), path)
    assert set(log.vocabularies["C1"].values) == {text for text, count in counts.items() if text and count >= 20}


BAD = [
    ("\t".join(line(1).split("\t")[:39]), r"line 3: found 39 columns '0.*', expected 40 columns"),
    (line(1) + "\tx", r"line 3: found 41 columns '0.*', expected 40 columns"),
    ("", "line 3: found 1 columns '', expected 40 columns"),
    ("2" + line(1)[1:], "line 3: found '2' as label, expected 0 or 1"),
    (line(1)[1:], "line 3: found no value as label, expected one"),
    ("0\tx" + "\t" * 38, "line 3: found 'x' as I1, expected a finite number"),
    ("0\t1e999" + "\t" * 38, "line 3: found '1e999' as I1, expected a finite number"),
    ("0" + "\t" * 38 + "\tcaf\xe9", "line 3: found byte 0xe9, expected UTF-8"),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
def test_a_bad_line_is_named(lines: list[str], tmp_path: Path, bad: str, message: str) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes(("\n".join([*lines[:2], bad, *lines[2:]]) + "\n").encode("latin-1"))
    with pytest.raises(DataError, match="train.txt, " + message):
        prepare(read(CriteoOptions(), path), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_file_of_other_length_than_expected_is_refused(path: Path) -> None:
    with pytest.raises(DataError, match=r"found 400 rows, expected 401 .*cut short"):
        read(CriteoOptions(rows=401), path)


def test_an_empty_file_and_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.txt").touch()
    with pytest.raises(DataError, match="found the end of the file, expected at least one row"):
        read(CriteoOptions(), tmp_path / "train.txt")
    with pytest.raises(DataError, match="--data PATH"):
        read(CriteoOptions(), None)


def test_codes_that_do_not_fit_on_the_disk_are_refused_before_they_are_written(path: Path) -> None:
    with pytest.raises(DataError, match=r"about 1600\.0 GB needed for .* set TMPDIR"):
        coded_rows.check_room(path.parent, 10_000_000_000, 40)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample may not be redistributed")
def test_the_real_sample_holds_what_its_description_says() -> None:
    log = read(CriteoOptions(), SAMPLE)
    assert len(log.clicks_N) == 14_584
    assert log.clicks_N.mean() == pytest.approx(0.234, abs=5e-4)
    rows = log.columns.rows
    distinct = [rows.size(name) - (not rows.counts(name)[0]) for name in COLUMNS[1:]]
    assert distinct[:13] == [87, 1091, 351, 81, 7046, 935, 306, 68, 943, 8, 64, 35, 132]
    assert distinct[13:21] == [216, 428, 8051, 5690, 61, 9, 3948, 112]
    missing = {name: rows.counts(name)[0] / rows.rows for name in ("C22", "I12", "I1", "I10")}
    assert missing == pytest.approx({"C22": 0.80, "I12": 0.77, "I1": 0.45, "I10": 0.45}, abs=0.015)
