"""A log of one's own: every option on a small file, and what is said of a file that does not fit it."""

import csv
import io
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from service.bundle import Buckets, Encoder
from training.config import ConfigError, data_of
from training.data.click_log import ClickLog, DataError
from training.data.datasets import DATA_SETS
from training.data.prepare import PARTS, Prepared, prepare
from training.data.splits import split_rows

ROWS = 300
FIELDS = [
    {"name": "user", "role": "context", "column": "user_id"},
    {"name": "age", "role": "context", "kind": "numeric", "quantiles": 4},
    {"name": "item", "role": "candidate", "min_count": 2},
    {"name": "title", "role": "candidate"},
    {"name": "price", "role": "candidate", "kind": "numeric", "edges": [1, 2.5, 10]},
    {"name": "seen", "role": "context", "kind": "numeric", "transform": "log_squared", "min_count": 3},
]
OPTIONS: dict[str, Any] = {
    "set": "table",
    "click": {"column": "rating", "at_least": 4},
    "fields": FIELDS,
    "group": "user",
    "teachers": {"trees": {"column": "score", "gives": "probability"}},
}


def frame() -> pl.DataFrame:
    """300 rows: quotes, commas and line ends in titles, missing ages, fractional prices, times that go up."""
    random = np.random.default_rng(3)
    items = random.integers(40, size=ROWS)
    ages = [None if number % 7 == 0 else int(age) for number, age in enumerate(random.integers(18, 70, ROWS))]
    return pl.DataFrame(
        {
            "ts": [f"2026-11-{1 + number // 30:02d}T12:00:00" for number in range(ROWS)],
            "user_id": [f"u{number}" for number in random.integers(30, size=ROWS)],
            "age": ages,
            "item": items,
            "title": [f'the "{item}",\nfilm é' for item in items],
            "price": items / 4,
            "seen": random.integers(0, 60, ROWS) - 1,
            "rating": random.integers(1, 6, ROWS),
            "score": random.uniform(0.01, 0.99, ROWS),
            "unused": ["x"] * ROWS,
        }
    )


def read(path: Path | None, **changes: Any) -> ClickLog:
    options = data_of({**OPTIONS, **changes}, "tests").options
    return DATA_SETS["table"].read(options, path)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "clicks.csv"
    frame().write_csv(path)
    return path


@pytest.fixture(scope="module")
def prepared(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(read(path, item={"field": "item"}), tmp_path_factory.mktemp("prepared") / "data")


def raw_columns(path: Path) -> dict[str, list[Any]]:
    """The file as Python's own csv reader has it, in the fields' names, as requests would hold it."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    named = {field["name"]: [row[field.get("column", field["name"])] or None for row in rows] for field in FIELDS}
    for name in ("age", "price", "seen"):
        named[name] = [None if text is None else float(text) for text in named[name]]
    return named


def test_ids_are_those_of_the_serving_encoder_on_the_raw_values(path: Path, prepared: Prepared) -> None:
    encoder = Encoder(prepared.encoder.schema, prepared.encoder.vocabularies)
    ids_NF = encoder.encode(encoder.schema.fields, raw_columns(path))
    for part in PARTS:
        np.testing.assert_array_equal(prepared.rows(part).ids_NF, ids_NF[np.sort(getattr(split_rows(ROWS), part))])


def test_a_click_is_a_rating_of_at_least_what_was_asked_for(prepared: Prepared) -> None:
    clicks_N = frame()["rating"].to_numpy() >= 4
    np.testing.assert_array_equal(prepared.rows("test").clicks_N, clicks_N[np.sort(split_rows(ROWS).test)])


def test_vocabularies_count_training_rows_unless_all_are_asked_for(path: Path) -> None:
    items = frame()["item"].cast(pl.String).to_list()
    for count_on, rows in (("train", split_rows(ROWS).train), ("all", range(ROWS))):
        counts = Counter(items[row] for row in rows)
        expected = {item for item, count in counts.items() if count >= 8}
        fields = [{**field, "min_count": 8} for field in FIELDS]
        assert set(read(path, count_on=count_on, fields=fields).vocabularies["item"].values) == expected


def test_quantiles_leave_about_equally_many_training_rows_to_each_bucket(prepared: Prepared) -> None:
    rule = prepared.encoder.schema.fields[1].numeric
    assert isinstance(rule, Buckets)
    ids_N = prepared.rows("train").ids_NF[:, 1]
    shares = np.bincount(ids_N[ids_N > 0])[2:] / (ids_N > 0).sum()
    assert len(shares) == 4
    assert shares == pytest.approx([0.25] * 4, abs=0.04)


def test_the_catalogue_has_every_item_once_with_its_own_ids(path: Path, prepared: Prepared) -> None:
    raw = raw_columns(path)
    schema, catalogue = prepared.encoder.schema, prepared.catalogue
    assert catalogue is not None
    assert sorted(catalogue.items) == sorted(set(raw["item"]))
    first = [raw["item"].index(item) for item in catalogue.items]
    columns = {field.name: [raw[field.name][row] for row in first] for field in schema.candidate}
    np.testing.assert_array_equal(catalogue.candidate_ids_IF, prepared.encoder.encode(schema.candidate, columns))


def test_the_example_is_a_request_of_raw_values(prepared: Prepared) -> None:
    example, encoder = prepared.example, prepared.encoder
    assert encoder.encode_context(example["context"]).tolist()[0] == prepared.rows("validation").ids_NF[0, :3].tolist()
    assert prepared.catalogue is not None
    np.testing.assert_array_equal(
        encoder.encode(encoder.schema.candidate, example["candidates"]),
        prepared.catalogue.candidate_ids(example["items"]),
    )


def test_another_models_probabilities_are_kept_as_logits(prepared: Prepared) -> None:
    assert prepared.teacher_names == ("trees",)
    scores_N = frame()["score"].to_numpy()[np.sort(split_rows(ROWS).validation)]
    logits_N = prepared.teacher_logits("trees", "validation")
    assert logits_N.dtype == np.float32
    np.testing.assert_allclose(logits_N, [math.log(p / (1 - p)) for p in scores_N], rtol=1e-6)
    with pytest.raises(DataError, match=r"no logits of teacher 'tree', only of \['trees'\]"):
        prepared.teacher_logits("tree", "train")


def test_the_group_is_kept(prepared: Prepared) -> None:
    assert prepared.group_field == "user"


def test_parquet_gives_what_csv_gives(path: Path, prepared: Prepared, tmp_path: Path) -> None:
    frame().write_parquet(tmp_path / "clicks.parquet", row_group_size=70)
    again = prepare(read(tmp_path / "clicks.parquet", item={"field": "item"}), tmp_path / "data")
    assert again.digest == prepared.digest


def test_several_files_are_one_log_whatever_the_order_of_their_columns(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = frame()
    whole[:120].write_csv(tmp_path / "a.csv")
    whole[120:].select(reversed(whole.columns)).write_csv(tmp_path / "b.csv")
    monkeypatch.chdir(tmp_path)
    for given in ({"path": tmp_path}, {"path": tmp_path / "*.csv"}, {"path": None, "files": ["a.csv", "b*"]}):
        again = prepare(read(item={"field": "item"}, **given), tmp_path / "data" / "again")
        assert again.digest == prepared.digest


def test_a_split_by_time_trains_on_what_came_first(path: Path) -> None:
    by_shares = read(path, split={"by": "time", "column": "ts", "validation": 0.2, "test": 0.1}).split
    bounds = {"validation_from": "2026-11-08", "test_from": "2026-11-10"}
    by_bounds = read(path, split={"by": "time", "column": "ts", **bounds}).split
    for split in (by_shares, by_bounds):
        assert [len(split.train), len(split.validation), len(split.test)] == [210, 60, 30]
        assert [*split.train, *split.validation, *split.test] == list(range(ROWS))


def test_an_item_that_changes_is_refused_or_its_last_row_kept(path: Path, tmp_path: Path) -> None:
    rows = frame().with_columns(pl.when(pl.int_range(ROWS) < 200).then(pl.col("price")).otherwise(9.0).alias("price"))
    rows.write_csv(tmp_path / "clicks.csv")
    with pytest.raises(DataError, match=r"clicks\.csv, row 20\d: item '\d+' has another price than in a row before"):
        read(tmp_path / "clicks.csv", item={"field": "item"})
    log = read(tmp_path / "clicks.csv", item={"field": "item", "changed": "last"})
    assert log.items is not None
    last = dict(zip(rows["item"].cast(pl.String), rows["price"], strict=True))
    assert dict(zip(log.items["item"], log.items["price"], strict=True)) == last


BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"click": {"column": "ratings"}}, {}, r"has no column 'ratings'; did you mean 'rating'\?"),
    ({}, {"age": "old"}, "row 12: found 'old' as age, expected a finite number"),
    ({}, {"price": "nan"}, "row 12: found 'nan' as price, expected a finite number"),
    ({}, {"rating": "good"}, "row 12: found 'good' as rating, expected a finite number"),
    ({"click": {"column": "rating"}}, {}, r"row \d+: found '\d' as rating, expected 0 or 1"),
    ({}, {"score": "1.0"}, "row 12: found '1.0' as score, expected a probability between 0 and 1, neither"),
    ({}, {"score": None}, "row 12: found no value as score, expected one"),
    ({"item": {"field": "item"}}, {"item": None}, "row 12: found no value as item, expected an item"),
    ({"split": {"by": "time", "column": "ts"}}, {"ts": "noon"}, "row 12: found 'noon' as ts, expected a number or an"),
    ({"click": {"column": "rating", "at_least": 9}}, {}, "the train part has 0 clicked of 240 rows"),
]


@pytest.mark.parametrize(("changes", "value", "message"), BAD)
def test_what_does_not_fit_is_named_by_file_and_row(
    tmp_path: Path, changes: dict[str, Any], value: dict[str, Any], message: str
) -> None:
    rows = frame().with_columns(
        pl.when(pl.int_range(ROWS) == 11)
        .then(pl.lit(new, pl.String))
        .otherwise(pl.col(name).cast(pl.String))
        .alias(name)
        for name, new in value.items()
    )
    rows.write_csv(tmp_path / "clicks.csv")
    with pytest.raises(DataError, match=message) as raised:
        prepare(read(tmp_path / "clicks.csv", **changes), tmp_path / "data")
    assert "\n" not in str(raised.value)


def test_a_row_with_a_column_too_few_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    frame().write_csv(tmp_path / "clicks.csv")
    with (tmp_path / "clicks.csv").open("a") as file:
        file.write("1,2\n")
    with pytest.raises(DataError, match=r"clicks\.csv, row 301: found too few columns, expected 10 columns"):
        read(tmp_path / "clicks.csv")
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="no file given"):
        read(None)


def test_parquet_fractions_are_no_categories(tmp_path: Path) -> None:
    frame().with_columns(pl.col("item").cast(pl.Float64)).write_parquet(tmp_path / "clicks.parquet")
    with pytest.raises(DataError, match=r"column 'item' holds Float64, expected text or integers in a categorical"):
        read(tmp_path / "clicks.parquet")
    (tmp_path / "clicks.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"clicks\.parquet: not a Parquet file"):
        read(tmp_path / "clicks.parquet")


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"fields": [{**FIELDS[0], "rle": "x"}]}, "'fields.0.rle' is unknown; did you mean 'role'"),
    ({"fields": [{"role": "context"}]}, "'fields.0.name' is missing"),
    ({"fields": FIELDS[:2]}, "at least one needs role 'candidate'"),
    ({"fields": [*FIELDS, FIELDS[0]]}, r"\['user'\] occur more than once"),
    ({"fields": [{**FIELDS[3], "edges": [1]}]}, "edges is for numeric fields: title is categorical"),
    ({"fields": [{**FIELDS[4], "quantiles": 3}]}, "takes one of transform, edges, quantiles"),
    ({"fields": [{**FIELDS[4], "edges": [2, 1]}]}, "edges of price must ascend"),
    (
        {"fields": [{**FIELDS[5], "transform": "log"}]},
        r"transform of seen is 'log', expected one of \['floor', 'log_squ",
    ),
    ({"group": "users"}, "group names 'users', expected one of the fields"),
    ({"item": {"field": "film"}}, "item names 'film', expected one of the fields"),
    ({"split": {"by": "time"}}, "a split by time, and only that, takes column"),
    ({"split": {"by": "time", "column": "ts", "test_from": "2026-11-08"}}, "validation_from and test_from go together"),
    ({"teachers": {"trees": {"column": "score", "gives": "odds"}}}, "teachers.trees.gives is 'odds'"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_OPTIONS)
def test_options_that_cannot_be_meant_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        data_of({**OPTIONS, **changes}, "own.toml")
    assert str(raised.value).startswith("own.toml: [data]")
