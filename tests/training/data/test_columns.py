import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data import columns, columns_python
from training.data.columns import LONG, QUOTE, SHORT

KINDS = [columns_python.Columns, *([columns.Columns] if columns.COMPILED else [])]
TEXT = st.text(st.sampled_from('ab0é",\t\r \n'), max_size=12)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__module__)
def kind(request: pytest.FixtureRequest) -> type[columns_python.Columns]:
    """The compiled columns, where they were built, and the Python ones."""
    return request.param


def read(
    kind: type[columns_python.Columns], block: bytes, *, quoted: bool = False, width: int = 2, separator: bytes = b","
) -> tuple[list[list[str]], int]:
    """The rows of a block, texts looked up by their codes, and what ended the reading."""
    known = kind(width)
    out_CN = np.full((width, block.count(b"\n")), -1, np.int32)
    rows, wrong = known.read(block, separator, quoted, np.arange(width, dtype=np.int32), out_CN)
    texts = [known.texts(table, out_CN[table, :rows].copy()) for table in range(width)]
    return [list(row) for row in zip(*texts, strict=True)], wrong


def test_codes_count_up_by_first_appearance_and_the_empty_text_is_0(kind: type[columns_python.Columns]) -> None:
    known = kind(1)
    out_CN = np.empty((1, 6), np.int32)
    known.read(b"b\n\na\nb\na\nlonger than eight bytes\n", b",", False, np.zeros(1, np.int32), out_CN)
    assert out_CN.tolist() == [[1, 0, 2, 1, 2, 3]]
    counts = np.zeros(known.size(0), np.int64)
    known.counts(0, counts)
    assert counts.tolist() == [1, 2, 2, 1]


def test_a_column_without_a_table_is_passed_over(kind: type[columns_python.Columns]) -> None:
    known = kind(1)
    out_CN = np.empty((1, 2), np.int32)
    known.read(b"x,1,y\nz,2,y\n", b",", False, np.array([-1, 0, -1], np.int32), out_CN)
    assert known.texts(0, out_CN[0]) == ["1", "2"]


def test_codes_go_on_from_block_to_block_through_many_texts(kind: type[columns_python.Columns]) -> None:
    """Enough texts, short and long, for every table inside to grow several times."""
    texts = [f"{'long text ' * (number % 3 == 0)}{number}" for number in range(3_000)]
    known, out_CN = kind(1), np.empty((1, 3_000), np.int32)
    for _again in range(2):
        known.read("".join(f"{text}\n" for text in texts).encode(), b",", False, np.zeros(1, np.int32), out_CN)
        assert out_CN[0].tolist() == list(range(1, 3_001))
    assert known.texts(0, out_CN[0]) == texts


@pytest.mark.parametrize(
    ("block", "rows", "wrong"),
    [
        (b"a,b\nc\n", 1, SHORT),
        (b"a,b\nc,d,e\n", 1, LONG),
        (b"a,b\n\n", 1, SHORT),
        (b'a,b\n"c,d\n', 1, QUOTE),
        (b'a,b\n"c"d,e\n', 1, QUOTE),
    ],
)
def test_reading_ends_before_a_line_that_is_wrong(
    kind: type[columns_python.Columns], block: bytes, rows: int, wrong: int
) -> None:
    found, why = read(kind, block, quoted=True)
    assert (len(found), why) == (rows, wrong)


def test_quotes_hold_separators_line_ends_and_doubled_quotes(kind: type[columns_python.Columns]) -> None:
    block = b'"a,""b""","c\nd"\r\ne,"f"\r\n'
    assert read(kind, block, quoted=True) == ([['a,"b"', "c\nd"], ["e", "f"]], 0)
    assert read(kind, b'"a"\t"b"\n', separator=b"\t") == ([['"a"', '"b"']], 0)


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=80))
def test_what_was_written_in_quotes_is_what_is_read(rows: list[tuple[str, str]]) -> None:
    """Any text survives, in the compiled reader and in the Python one."""
    lines = [",".join('"' + value.replace('"', '""') + '"' for value in row) + "\n" for row in rows]
    for kind in KINDS:
        assert read(kind, "".join(lines).encode(), quoted=True) == ([list(row) for row in rows], 0)


@pytest.mark.skipif(not columns.COMPILED, reason="the compiled columns were not built here")
@given(block=st.text(st.sampled_from('ab",\n\r'), max_size=40), quoted=st.booleans())
def test_both_readers_take_and_refuse_the_same_lines(block: str, quoted: bool) -> None:
    expected, got = (read(kind, f"{block}\n".encode(), quoted=quoted) for kind in KINDS)
    assert got == expected


def test_a_block_ends_with_a_line_end(kind: type[columns_python.Columns]) -> None:
    with pytest.raises(ValueError, match=re.escape("a block that ends with a line end")):
        kind(1).read(b"a", b",", False, np.zeros(1, np.int32), np.empty((1, 1), np.int32))
