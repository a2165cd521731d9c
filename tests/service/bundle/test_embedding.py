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
def test_anything_but_finite_rows_of_float32_is_refused(rows_VD: Any, said: str) -> None:
    with pytest.raises(BundleError, match=rf"embedding\.npy: .*{said}"):
        EmbeddingTable(rows_VD=rows_VD)


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
    maps = Path("/proc/self/maps").read_text()
    assert str(directory / "embedding.npy") in maps


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
    directory = write_bundle(tmp_path, dataclasses.replace(tiny, embedding=None))
    assert not (directory / "embedding.npy").exists()
    assert read_bundle(directory).embedding is None
