"""The embedding table: what it takes, and that nothing stands between it and its file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.bundle import Bundle, BundleError, EmbeddingTable, read_bundle, write_bundle
from service.bundle.npy import npy_parts

ROWS_VD = np.arange(12, dtype=np.float32).reshape(4, 3)


SCALE_V1 = np.ones((4, 1), np.float32)


def with_table(bundle: Bundle, embedding: EmbeddingTable | None) -> Bundle:
    """The bundle with another table, of which its manifest says nothing."""
    return dataclasses.replace(
        bundle, embedding=embedding, manifest=dataclasses.replace(bundle.manifest, embedding=None)
    )


@pytest.mark.parametrize(
    ("rows_VD", "said"),
    [
        (ROWS_VD.astype(np.float64), "got float64 of shape"),
        (ROWS_VD.astype(">f4"), "got >f4 of shape"),
        (ROWS_VD.ravel(), r"got float32 of shape \(12,\), expected .* 2 axes"),
        (ROWS_VD[:0], r"got float32 of shape \(0, 3\)"),
        (ROWS_VD.T, "do not lie one after another"),
        (np.where(ROWS_VD == 11, np.float32(np.nan), ROWS_VD), "not finite"),
        (np.where(ROWS_VD == 0, np.float32(np.inf), ROWS_VD), "not finite"),
    ],
)
def test_rows_of_another_kind_are_refused(rows_VD: Any, said: str) -> None:
    with pytest.raises(BundleError, match=rf"embedding\.npy: .*{said}"):
        EmbeddingTable(rows_VD=rows_VD)


@pytest.mark.parametrize(
    ("dtype", "scale_V1", "said"),
    [
        (np.int8, None, "no scales for rows of int8, int8 has them"),
        (np.float32, SCALE_V1, "scales for rows of float32, int8 has them"),
        (np.float16, SCALE_V1, "scales for rows of float16, int8 has them"),
        (np.int8, SCALE_V1[:-1], r"got float32 of shape \(3, 1\), expected one float32 for each of 4 rows"),
        (np.int8, SCALE_V1[:, 0], r"got float32 of shape \(4,\), expected one float32 for each of 4 rows"),
        (np.int8, SCALE_V1.astype(np.float64), "got float64"),
        (np.int8, SCALE_V1 * np.float32(np.nan), "not finite"),
    ],
)
def test_int8_has_a_finite_scale_for_each_row_and_no_other_has(dtype: Any, scale_V1: Any, said: str) -> None:
    with pytest.raises(BundleError, match=rf"embedding_scale\.npy: .*{said}"):
        EmbeddingTable(rows_VD=ROWS_VD.astype(dtype), scale_V1=scale_V1)


def test_int8_rows_times_their_scales_are_the_embeddings() -> None:
    table = EmbeddingTable(rows_VD=np.array([[1, -2], [127, 0]], np.int8), scale_V1=np.array([[0.5], [2]], np.float32))
    np.testing.assert_array_equal(table.embeddings(), np.array([[0.5, -1], [254, 0]], np.float32), strict=True)
    assert (table.stored_as, table.nbytes, table.dimension) == ("int8", 4 + 8, 2)


@pytest.mark.parametrize("dtype", [np.float16, np.int8])
def test_a_table_in_fewer_bytes_reads_back_as_it_was_written(tiny: Bundle, tmp_path: Path, dtype: Any) -> None:
    scale_V1 = np.arange(20, dtype=np.float32)[:, None] if dtype is np.int8 else None
    written = EmbeddingTable(rows_VD=np.arange(40).astype(dtype).reshape(20, 2), scale_V1=scale_V1)
    read = read_bundle(write_bundle(tmp_path, with_table(tiny, written))).embedding
    assert read is not None
    assert list(read.arrays) == list(written.arrays)
    for name, array in written.arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array, strict=True)


@pytest.mark.parametrize(("found", "said"), [(np.float16, "float16"), (None, "missing")])
def test_a_table_that_is_not_what_the_manifest_says_is_refused(
    tiny: Bundle, tmp_path: Path, found: Any, said: str
) -> None:
    other = None if found is None else EmbeddingTable(rows_VD=np.ones((20, 2), found))
    with pytest.raises(BundleError, match=rf"v1: embedding\.npy: {said}, the manifest says float32"):
        write_bundle(tmp_path, dataclasses.replace(tiny, embedding=other))


def test_scales_without_rows_are_refused(tiny: Bundle, tmp_path: Path) -> None:
    rows_VD, scale_V1 = np.ones((20, 2), np.int8), np.ones((20, 1), np.float32)
    directory = write_bundle(tmp_path, with_table(tiny, EmbeddingTable(rows_VD=rows_VD, scale_V1=scale_V1)))
    manifest = json.loads((directory / "manifest.json").read_bytes())
    del manifest["files"]["embedding.npy"]
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"v1: embedding_scale\.npy: there is no embedding\.npy beside it"):
        read_bundle(directory)


def test_a_number_that_is_not_finite_is_found_in_the_last_row_of_many() -> None:
    rows_VD = np.zeros((200_000, 1), np.float32)
    rows_VD[-1] = np.nan
    with pytest.raises(BundleError, match="not finite"):
        EmbeddingTable(rows_VD=rows_VD)


def test_a_table_that_was_read_is_the_file(tiny: Bundle, tmp_path: Path) -> None:
    """It is mapped: no copy, no way to write, the numbers begin on a cache line."""
    directory = write_bundle(tmp_path, tiny)
    embedding = read_bundle(directory).embedding
    assert embedding is not None
    assert not embedding.rows_VD.flags.writeable
    assert embedding.rows_VD.ctypes.data % 64 == 0
    maps = Path("/proc/self/maps")  # Linux alone tells
    assert not maps.exists() or str(directory / "embedding.npy") in maps.read_text()


def test_a_right_digest_of_a_wrong_table_does_not_help(tiny: Bundle, tmp_path: Path) -> None:
    directory = write_bundle(tmp_path, tiny)
    content = b"".join(npy_parts(np.full((20, 2), np.nan, np.float32)))
    (directory / "embedding.npy").write_bytes(content)
    manifest = json.loads((directory / "manifest.json").read_bytes())
    manifest["files"]["embedding.npy"] = hashlib.sha256(content).hexdigest()
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"v1: embedding\.npy: has numbers that are not finite"):
        read_bundle(directory)


def test_a_bundle_whose_graph_holds_its_own_numbers_needs_no_table(tiny: Bundle, tmp_path: Path) -> None:
    directory = write_bundle(tmp_path, with_table(tiny, None))
    assert not (directory / "embedding.npy").exists()
    assert read_bundle(directory).embedding is None
