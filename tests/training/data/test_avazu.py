"""Avazu: a few lines of the format, and the real samples where they are at hand."""

from pathlib import Path

import numpy as np
import pytest

from training.data.avazu import HEADER, AvazuOptions, read
from training.data.click_log import DataError
from training.data.prepare import prepare
from training.data.splits import split_rows

SAMPLE = Path("../shared/data/avazu_sample.csv.gz")
LINE = (
    "1000009418151094273,{click},{hour},1005,0,{site},f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,a99f214a,ddd2926e,"
    "44956a24,1,2,15706,320,50,1722,0,35,-1,79"
)
ROWS = 200


def lines() -> list[str]:
    """Rows of three days, every fourth clicked, with a site that is frequent, rare or missing."""
    rows = []
    for number in range(ROWS):
        site = ["1fbe01fe", "", f"{number:08x}"][number % 3]
        rows.append(
            LINE.format(click=int(number % 4 == 0), hour=14102100 + 100 * (number % 3) + number % 24, site=site)
        )
    return rows


def write(tmp_path: Path, rows: list[str], header: tuple[str, ...] = HEADER) -> Path:
    path = tmp_path / "train.csv"
    path.write_text("\n".join([",".join(header), *rows]) + "\n")
    return path


def test_there_are_23_fields_of_which_time_place_and_device_are_context(tmp_path: Path) -> None:
    schema = read(AvazuOptions(), write(tmp_path, lines())).schema
    assert len(schema.fields) == 23
    assert len(schema.context) == 14
    assert {field.name for field in schema.fields} == {"weekday", *HEADER} - {"id", "click"}


def test_weekday_and_hour_come_from_the_hour_column(tmp_path: Path) -> None:
    """21 to 23 October 2014 were Tuesday to Thursday; rows of one weekday come from many texts."""
    prepared = prepare(read(AvazuOptions(), write(tmp_path, lines())), tmp_path / "data")
    assert sorted(prepared.encoder.vocabularies["weekday"].values) == ["1", "2", "3"]
    assert set(prepared.encoder.vocabularies["hour"].values) == {str(hour) for hour in range(24)}
    rows = np.sort(split_rows(ROWS).train)
    expected = prepared.encoder.encode_column("weekday", [str(1 + row % 3) for row in rows])
    np.testing.assert_array_equal(prepared.rows("train").ids_NF[:, 0], expected)


def test_missing_is_0_and_a_value_in_fewer_than_five_rows_is_1(tmp_path: Path) -> None:
    prepared = prepare(read(AvazuOptions(), write(tmp_path, lines())), tmp_path / "data")
    site = [field.name for field in prepared.encoder.schema.fields].index("site_id")
    rows = np.sort(split_rows(ROWS).train)
    assert prepared.rows("train").ids_NF[:, site].tolist() == [[2, 0, 1][row % 3] for row in rows]


def test_another_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv, line 1: found 'id,hour.*expected 'id,click,hour,C1"):
        read(AvazuOptions(), write(tmp_path, lines(), header=("id", "hour", "click", *HEADER[3:])))


def test_an_hour_that_is_none_is_named_by_its_line(tmp_path: Path) -> None:
    rows = lines()
    rows[6] = rows[6].replace("141021", "141321", 1)
    with pytest.raises(DataError, match=r"train\.csv, line 8: found '141321..' as hour, expected an hour as YYMMDDHH"):
        read(AvazuOptions(), write(tmp_path, rows))


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample may not be redistributed")
def test_the_real_sample_holds_what_its_description_says() -> None:
    log = read(AvazuOptions(rows=20_000), SAMPLE)
    assert log.clicks_N.mean() == pytest.approx(0.166, abs=5e-4)
    rows = log.columns.rows
    names = ("C1", "banner_pos", "site_id", "site_domain", "device_id", "device_ip", "device_model", "C14", "C21")
    assert [rows.size(name) - 1 for name in names] == [7, 6, 697, 565, 3545, 17121, 1810, 527, 39]
    assert [rows.counts(name)[0] for name in names] == [0] * 9
    assert sorted(log.vocabularies["hour"].values, key=int) == [str(hour) for hour in range(24)]
