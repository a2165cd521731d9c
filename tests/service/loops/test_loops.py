"""The loops in C and in Python: each by its definition, and both alike on values of every kind."""

from __future__ import annotations

import math
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.loops import python

try:
    from service.native import _encode
except ImportError:  # no compiler here: the loops in Python are all there is
    _encode = None  # type: ignore[assignment]

IMPLEMENTATIONS = [module for module in (python, _encode) if module is not None]
TEXTS = ("red", "42", "-7", "é", "日本語", "0", "18446744073709551616", "a" * 40, "a" * 41, "01234567", "0123456")
MISSING, UNKNOWN, FIRST = 0, 1, 2

values = (
    st.none()
    | st.text(max_size=9)
    | st.sampled_from(TEXTS)
    | st.integers(-(2**70), 2**70)
    | st.booleans()
    | st.floats()
    | st.just([])
)
known = st.none() | st.text(max_size=9) | st.sampled_from(TEXTS) | st.integers(-(2**70), 2**70)


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda module: module.__name__)
def loops(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def number_of(value: Any) -> int:
    """What a table over TEXTS answers, by definition."""
    if value is None or value == "":
        return MISSING
    return FIRST + TEXTS.index(str(value)) if str(value) in TEXTS else UNKNOWN


def is_value(value: Any) -> bool:
    return type(value) in (str, int, type(None))


@given(column=st.lists(known, max_size=200))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_a_table_gives_every_value_its_number(module: ModuleType, column: list[Any]) -> None:
    out_N = np.full(len(column), -9, np.int32)
    assert module.Table(TEXTS, FIRST).encode(column, out_N, MISSING, UNKNOWN) == -1
    assert out_N.tolist() == [number_of(value) for value in column]


@given(column=st.lists(values, max_size=80))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_the_first_value_of_a_wrong_type_is_named(module: ModuleType, column: list[Any]) -> None:
    expected = next((i for i, value in enumerate(column) if not is_value(value)), -1)
    out_N = np.empty(len(column), np.int32)
    assert module.Table(TEXTS, FIRST).encode(column, out_N, MISSING, UNKNOWN) == expected


def test_a_column_of_a_matrix_is_written_and_no_other(loops: ModuleType) -> None:
    out_NF = np.full((3, 4), -9, np.int32)
    loops.Table(TEXTS, FIRST).encode(["42", "?", 42], out_NF[:, 1], MISSING, UNKNOWN)
    assert out_NF.tolist() == [[-9, 3, -9, -9], [-9, 1, -9, -9], [-9, 3, -9, -9]]


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_a_table_of_any_size_finds_all_its_texts_and_nothing_else(loops: ModuleType, count: int) -> None:
    texts = [f"value {i * 7919}" for i in range(count)]
    table, out_N = loops.Table(texts, FIRST), np.empty(count, np.int32)
    table.encode(texts, out_N, MISSING, UNKNOWN)
    assert out_N.tolist() == list(range(FIRST, FIRST + count))
    table.encode([f"{text}." for text in texts], out_N, MISSING, UNKNOWN)
    assert set(out_N.tolist()) <= {UNKNOWN}


def test_a_text_twice_is_refused(loops: ModuleType) -> None:
    with pytest.raises(ValueError, match="a second time"):
        loops.Table(["a", "b", "a"], FIRST)


@given(items=st.lists(st.sampled_from(TEXTS) | st.just(42) | st.just(0), max_size=150))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_rows_of_known_items_are_copied(module: ModuleType, items: list[Any]) -> None:
    rows_IF = np.arange(len(TEXTS) * 3, dtype=np.int32).reshape(-1, 3)
    out_NF = np.empty((len(items), 3), np.int32)
    assert module.Table(TEXTS, 0).gather(items, rows_IF, out_NF) == -1
    assert out_NF.tolist() == [rows_IF[TEXTS.index(str(item))].tolist() for item in items]


@given(items=st.lists(values, min_size=1, max_size=150))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_the_first_item_that_is_not_there_is_named(module: ModuleType, items: list[Any]) -> None:
    def there(item: Any) -> bool:
        return type(item) in (str, int) and str(item) in TEXTS

    expected = next((i for i, item in enumerate(items) if not there(item)), -1)
    rows_IF, out_NF = np.zeros((len(TEXTS), 2), np.int32), np.empty((len(items), 2), np.int32)
    assert module.Table(TEXTS, 0).gather(items, rows_IF, out_NF) == expected


@given(row=st.lists(values, min_size=3, max_size=3))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_a_row_is_looked_up_field_by_field(module: ModuleType, row: list[Any]) -> None:
    tables = (module.Table(TEXTS, FIRST), None, module.Table(["red"], FIRST))
    out_F = np.full(3, -9, np.int32)
    place = module.encode_row(tables, ("a", "b", "c"), dict(zip("abc", row, strict=True)), out_F, MISSING, UNKNOWN)
    assert place == next((i for i in (0, 2) if not is_value(row[i])), -1)
    if place == -1:
        last = MISSING if row[2] in (None, "") else FIRST if row[2] == "red" else UNKNOWN
        assert out_F.tolist() == [number_of(row[0]), -9, last]


def test_a_row_without_a_name_is_refused(loops: ModuleType) -> None:
    with pytest.raises(KeyError, match="b"):
        loops.encode_row((loops.Table(["x"], 2),), ("b",), {"a": "x"}, np.empty(1, np.int32), MISSING, UNKNOWN)


@given(ids=st.lists(st.lists(st.integers(0, 3) | values, min_size=2, max_size=2), max_size=40))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_ids_are_checked_against_their_fields(module: ModuleType, ids: list[list[Any]]) -> None:
    flat = [value for row in ids for value in row]
    fine = [type(value) is int and 0 <= value < (3, 2)[i % 2] for i, value in enumerate(flat)]
    out_NF = np.full((len(ids), 2), -9, np.int32)
    assert module.check_ids(flat, np.array([3, 2]), out_NF) == (fine.index(False) if False in fine else -1)
    assert not all(fine) or out_NF.ravel().tolist() == flat


@given(column=st.lists(st.integers(0, 3) | values, max_size=40))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_a_column_of_ids_is_checked_against_its_field(module: ModuleType, column: list[Any]) -> None:
    fine = [type(value) is int and 0 <= value < 3 for value in column]
    out_NF = np.full((len(column), 2), -9, np.int32)
    assert module.check_column(column, 3, out_NF[:, 1]) == (fine.index(False) if False in fine else -1)
    assert not all(fine) or out_NF[:, 1].tolist() == column
    assert set(out_NF[:, 0].tolist()) <= {-9}


@given(rows=st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), max_size=30))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_an_id_is_counted_in_every_column(module: ModuleType, rows: list[list[int]]) -> None:
    ids_NF, counts_F = np.array(rows, np.int32).reshape(-1, 3), np.full(3, -9)
    assert module.count(ids_NF, 1, counts_F) == sum(row.count(1) for row in rows)
    assert counts_F.tolist() == [sum(row[field] == 1 for row in rows) for field in range(3)]


@given(values_=st.lists(st.floats(0, 1, width=32), max_size=60))
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_values_are_counted_up_to_each_bound(module: ModuleType, values_: list[float]) -> None:
    bounds_B, counts_B = np.array([0.0, 0.25, 0.5, 1.0], np.float32), np.full(4, 7)
    total = module.count_up_to(np.array(values_, np.float32), bounds_B, counts_B)
    assert total == pytest.approx(sum(values_))
    assert counts_B.tolist() == [7 + sum(value <= bound for value in values_) for bound in (0.0, 0.25, 0.5, 1.0)]


@given(
    logits=st.lists(st.floats(-(2.0**90), 2.0**90, width=32), max_size=40),
    slope=st.floats(-1e3, 1e3),
    intercept=st.floats(-1e3, 1e3),
)
@pytest.mark.parametrize("module", IMPLEMENTATIONS)
def test_probabilities_are_sigmoids(module: ModuleType, logits: list[float], slope: float, intercept: float) -> None:
    out_N = np.empty(len(logits), np.float32)
    assert module.probabilities(np.array(logits, np.float32), slope, intercept, out_N) == -1
    expected = [1 / (1 + math.exp(min(-(slope * logit + intercept), 700.0))) for logit in logits]
    assert np.allclose(out_N, expected, rtol=1e-6, atol=1e-44)  # the smallest float32 has one digit


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_logit_that_is_not_finite_is_named(loops: ModuleType, bad: float) -> None:
    logits_N = np.array([0.0, 1.0, bad, bad], np.float32)
    assert loops.probabilities(logits_N, 1.0, 0.0, np.empty(4, np.float32)) == 2


@pytest.mark.skipif(_encode is None, reason="no compiler: there is no C side to refuse anything")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.encode(["a"], np.empty(2, np.int32), 0, 1), "last of length 1"),
        (lambda t: t.encode(["a"], np.empty(1, np.int64), 0, 1), "expected 1 axes of int32"),
        (lambda t: t.encode("a", np.empty(1, np.int32), 0, 1), "expected a list or a tuple"),
        (lambda t: t.gather(["a"], np.empty((2, 3), np.int32), np.empty((1, 3), np.int32)), "rows: got 2 axes"),
        (lambda t: t.gather(["a"], np.empty((1, 3), np.int32), np.empty((1, 2), np.int32)), "out: got 2 axes"),
        (lambda _t: _encode.check_ids([1, 2, 3], np.array([9, 9]), np.empty((1, 2), np.int32)), "values: got 3"),
        (lambda _t: _encode.count(np.empty((1, 2), np.int32), 1, np.empty(3, np.int64)), "counts: got 1 axes"),
        (lambda _t: _encode.probabilities(np.empty(2, np.float64), 1.0, 0.0, np.empty(2, np.float32)), "logits: got 1"),
        (
            lambda _t: _encode.encode_row((1,), ("a",), {"a": 1}, np.empty(1, np.int32), 0, 1),
            "expected a Table or None",
        ),
        (lambda _t: _encode.Table(["a", 1], 0), r"texts\[1\]: got a int"),
    ],
)
def test_arrays_and_arguments_that_do_not_fit_are_refused(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call(_encode.Table(["a"], 0))


def test_without_the_extension_the_service_answers_in_python() -> None:
    """A process of its own, in which the extension cannot be imported."""
    script = (
        "import sys; sys.modules['service.native._encode'] = None\n"
        "from service import loops\n"
        "from service.bundle import Vocabulary\n"
        "print(loops.COMPILED, type(Vocabulary(('a',)).table).__module__)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "service.loops.python"]
