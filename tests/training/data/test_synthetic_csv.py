"""The synthetic log on disk: what is written is read back, and a damaged file is refused by line."""

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.click_log import ClickLog, DataError
from training.data.synthetic import SyntheticConfig, generate, read_csv, write_csv

Change = Callable[[list[str]], list[str]]

CONFIG = SyntheticConfig(rows=2_000, users=300, items=100, seed=7)


@pytest.fixture(scope="module")
def log() -> ClickLog:
    return generate(CONFIG)


@pytest.fixture
def path(log: ClickLog, tmp_path: Path) -> Path:
    write_csv(log, tmp_path / "log.csv")
    return tmp_path / "log.csv"


def edit(path: Path, *, line: int, change: Change) -> None:
    """Apply `change` to the columns of one line, counted from 1."""
    lines = path.read_text().split("\n")
    lines[line - 1] = ",".join(change(lines[line - 1].split(",")))
    path.write_text("\n".join(lines))


def put(position: int, value: str) -> Change:
    return lambda columns: [*columns[:position], value, *columns[position + 1 :]]


def test_what_is_written_is_read_back(log: ClickLog, path: Path) -> None:
    back = read_csv(path, CONFIG)
    assert back.columns.equals(log.columns, null_equal=True)
    assert back.columns.schema == log.columns.schema
    np.testing.assert_array_equal(back.clicks_N, log.clicks_N)
    assert back.clicks_N.dtype == log.clicks_N.dtype
    np.testing.assert_array_equal(back.true_probability_N, log.true_probability_N)
    assert (back.name, back.schema, back.item_field) == (log.name, log.schema, log.item_field)


def test_split_and_vocabularies_are_those_of_the_generated_log(log: ClickLog, path: Path) -> None:
    back = read_csv(path, CONFIG)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(back.split, part), getattr(log.split, part))
    assert back.vocabularies == log.vocabularies


def test_items_are_the_items_that_occur(log: ClickLog, path: Path) -> None:
    items = read_csv(path, CONFIG).items
    assert items.columns == log.items.columns
    assert set(items.iter_rows()) == set(log.columns.select(log.items.columns).iter_rows())
    assert items["item_id"].n_unique() == len(items)


def test_the_source_names_the_file_without_its_folder(path: Path) -> None:
    source = read_csv(path, CONFIG).source
    assert source["file"] == "log.csv"
    assert str(path.parent) not in str(source)


def test_a_log_is_one_line_per_impression_after_a_header(log: ClickLog, path: Path) -> None:
    lines = path.read_text().split("\n")
    assert lines[0] == ",".join([*log.columns.columns, "click", "true_probability"])
    assert len(lines) == 1 + CONFIG.rows + 1
    assert lines[-1] == ""


def test_writing_leaves_nothing_but_the_file(path: Path) -> None:
    assert [entry.name for entry in path.parent.iterdir()] == ["log.csv"]


def test_a_write_that_runs_out_of_space_leaves_the_old_file(path: Path) -> None:
    """A real limit on file size, in a process of its own."""
    before = path.read_bytes()
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from training.data.synthetic import SyntheticConfig, generate, write_csv\n"
        "log = generate(SyntheticConfig(rows=1000, seed=8))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "write_csv(log, Path(sys.argv[1]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    assert "File too large" in done.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["log.csv"]


def test_another_data_set_is_not_written_as_synthetic(log: ClickLog, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'movielens'"):
        write_csv(dataclasses.replace(log, name="movielens"), tmp_path / "log.csv")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: not found"):
        read_csv(tmp_path / "absent.csv", CONFIG)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        read_csv(tmp_path, CONFIG)


def test_a_file_cut_anywhere_is_refused(path: Path) -> None:
    """Cuts at a line end cannot be told from a shorter log; every other cut is."""
    whole = path.read_bytes()
    for length in np.random.default_rng(0).integers(0, len(whole) - 1, 50):
        path.write_bytes(whole[:length])
        if whole[length - 1 : length] != b"\n":
            with pytest.raises(DataError, match=re.escape(str(path)) + ", line"):
                read_csv(path, CONFIG)


def test_a_cut_last_line_is_named(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"log\.csv, line 2001: .*cut short"):
        read_csv(path, CONFIG)


def test_a_header_alone_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
    with pytest.raises(DataError, match=r"line 2: .*at least one row"):
        read_csv(path, CONFIG)


def test_another_header_is_refused(path: Path) -> None:
    edit(path, line=1, change=lambda columns: columns[::-1])
    with pytest.raises(DataError, match=r"line 1: found 'true_probability,.*expected 'user_id,"):
        read_csv(path, CONFIG)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda columns: columns[:-1], "13"),
        (lambda columns: [*columns, "7"], "15"),
        (lambda _columns: [], "1"),
    ],
    ids=["one too few", "one too many", "an empty line"],
)
def test_a_wrong_number_of_columns_is_refused(path: Path, change: Change, found: str) -> None:
    edit(path, line=41, change=change)
    with pytest.raises(DataError, match=rf"log\.csv, line 41: found {found}, expected 14 columns"):
        read_csv(path, CONFIG)


def test_bytes_that_are_not_utf8_are_refused(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    lines[4] = b"\xff" + lines[4]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match=r"log\.csv, line 5: found byte 0xff .*expected UTF-8"):
        read_csv(path, CONFIG)


@pytest.mark.parametrize("label", ["yes", "", "2", "1.0", "nan", " 1"])
def test_a_click_that_is_not_zero_or_one_is_refused(path: Path, label: str) -> None:
    edit(path, line=9, change=put(12, label))
    with pytest.raises(DataError, match=rf"log\.csv, line 9: found {label!r}, expected click" if label else "line 9"):
        read_csv(path, CONFIG)


@pytest.mark.parametrize(
    ("position", "value"),
    [(4, "many"), (4, "3.5"), (10, "cheap"), (10, "nan"), (10, "inf"), (11, "-"), (13, "half")],
)
def test_a_number_that_is_none_is_refused(path: Path, position: int, value: str) -> None:
    edit(path, line=2000, change=put(position, value))
    with pytest.raises(DataError, match=rf"log\.csv, line 2000: found '{value}', expected a number"):
        read_csv(path, CONFIG)


@pytest.mark.parametrize("value", ["", "0", "1", "1.5", "-0.1"])
def test_a_true_probability_outside_zero_and_one_is_refused(path: Path, value: str) -> None:
    edit(path, line=3, change=put(13, value))
    with pytest.raises(DataError, match=r"line 3: .*expected true_probability between 0 and 1"):
        read_csv(path, CONFIG)


def test_a_row_without_an_item_is_refused(path: Path) -> None:
    edit(path, line=3, change=put(7, ""))
    with pytest.raises(DataError, match=r"line 3: found None, expected an item as item_id"):
        read_csv(path, CONFIG)


def test_a_missing_feature_is_a_missing_value(path: Path) -> None:
    edit(path, line=2, change=lambda columns: [columns[0], *[""] * 6, columns[7], *[""] * 4, *columns[12:]])
    assert read_csv(path, CONFIG).columns.row(0)[1:7] == (None,) * 6
