"""Arrays that are mapped: numpy's own format, and nothing but the one layout of it that is written here."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.bundle import DATA_AT, BundleError
from service.bundle.npy import map_file, npy_array, npy_parts

ARRAY = np.arange(12, dtype=np.float32).reshape(4, 3)


def written(array: np.ndarray) -> bytes:
    return b"".join(npy_parts(array))


def by_numpy(array: Any, version: tuple[int, int] = (1, 0)) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_numpy_reads_what_is_written_and_so_do_we(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "table.npy"
    path.write_bytes(written(ARRAY.astype(dtype)))
    for mode in (None, "r"):
        np.testing.assert_array_equal(np.load(path, mmap_mode=mode), ARRAY.astype(dtype), strict=True)
    np.testing.assert_array_equal(npy_array("table.npy", map_file(path)), ARRAY.astype(dtype), strict=True)


def test_the_numbers_are_the_mappings_own_and_begin_on_a_page(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    path.write_bytes(written(ARRAY))
    array = npy_array("table.npy", map_file(path))
    assert not array.flags.writeable
    assert not array.flags.owndata
    assert array.ctypes.data % 4096 == 0
    path.write_bytes(written(ARRAY + 1))
    np.testing.assert_array_equal(array, ARRAY + 1)


def test_an_array_is_handed_on_without_a_copy() -> None:
    _header, numbers = npy_parts(ARRAY)
    assert np.shares_memory(np.frombuffer(numbers, np.float32), ARRAY)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"no array" * 1000,
        written(ARRAY)[:-1],
        written(ARRAY) + b"\0",
        written(ARRAY)[:DATA_AT],
        written(ARRAY).replace(b"\n", b"\t", 1),
        written(ARRAY).replace(b"(4, 3)", b"(3, 4)").replace(b"'fortran_order': False", b"'fortran_order': True "),
        written(ARRAY).replace(b"(4, 3)", b"(-4, 3)"),
        by_numpy(ARRAY),
        by_numpy(ARRAY, (2, 0)),
        by_numpy(np.asfortranarray(ARRAY)),
    ],
    ids=[
        "empty", "magic alone", "something else", "cut", "longer", "no numbers", "no line end", "columns first",
        "negative", "short header", "version 2", "columns first by numpy",
    ],
)  # fmt: skip
def test_any_other_layout_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"table\.npy: .*export again"):
        npy_array("table.npy", memoryview(content))


def test_objects_are_refused_and_never_loaded() -> None:
    described = written(ARRAY).replace(b"'<f4'", b"'|O' ")
    with pytest.raises(BundleError, match=r"table\.npy: "):
        npy_array("table.npy", memoryview(described))


def test_an_empty_file_maps_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert len(map_file(tmp_path / "empty")) == 0
