import gzip
from pathlib import Path

import pytest

from training.data.blocks import blocks
from training.data.click_log import DataError

LINES = b"".join(f"{number},{'x' * (number % 17)}\n".encode() for number in range(200))


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_blocks_are_whole_lines_and_together_the_file(tmp_path: Path, size: int) -> None:
    (tmp_path / "log.csv").write_bytes(LINES)
    found = [block for block, _position in blocks(tmp_path / "log.csv", quoted=False, size=size)]
    assert b"".join(found) == LINES
    assert all(block.endswith(b"\n") for block in found)


def test_gzip_is_read_by_its_name_and_positions_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(LINES))
    found = list(blocks(tmp_path / "log.csv.gz", quoted=False, size=100))
    assert b"".join(block for block, _position in found) == LINES
    assert found[-1][1] == (tmp_path / "log.csv.gz").stat().st_size


def test_a_last_line_without_a_line_end_gets_one(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"a\nb")
    assert b"".join(block for block, _position in blocks(tmp_path / "log.csv", quoted=False)) == b"a\nb\n"


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_no_block_ends_inside_quotes(tmp_path: Path, size: int) -> None:
    rows = [b'"a\nb",1\n', b'"c""\n",2\n', b"d,3\n"]
    (tmp_path / "log.csv").write_bytes(b"".join(rows))
    found = [block for block, _position in blocks(tmp_path / "log.csv", quoted=True, size=size)]
    assert b"".join(found) == b"".join(rows)
    assert all(block.count(b'"') % 2 == 0 for block in found)


def test_gzip_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(LINES)[:-40])
    with pytest.raises(DataError, match=r"log\.csv\.gz: not a whole gzip file"):
        list(blocks(tmp_path / "log.csv.gz", quoted=False))
