"""CURRENT: a file that names a version beside it, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.bundle import Bundle, BundleError, read_bundle, write_bundle


@pytest.fixture
def root(tiny: Bundle, tmp_path: Path) -> Path:
    write_bundle(tmp_path, tiny)
    return tmp_path


def refused(path: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read_bundle(path)


def named(root: Path, name: str) -> str:
    return re.escape(str(root / name))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"../v1",
        b"/v1",
        b"..",
        b".",
        b".hidden",
        b"v1/../v1",
        b"v1\nv2",
        b"v1\0",
        b"\xff",
        b"x" * 300,
        b"V1",
        b"v 1",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_pointer_that_names_no_version_beside_it_is_refused(root: Path, content: bytes) -> None:
    (root / "CURRENT").write_bytes(content)
    refused(root, named(root, "CURRENT") + ": names .*, expected a version directory beside it")


def test_a_pointer_to_a_version_that_is_gone_is_refused(root: Path) -> None:
    (root / "CURRENT").write_text("v9\n")
    refused(root, named(root, "v9/manifest.json") + ": found nothing")


def test_a_pointer_that_is_a_link_is_refused(root: Path) -> None:
    (root / "CURRENT").rename(root / "elsewhere")
    (root / "CURRENT").symlink_to(root / "elsewhere")
    refused(root, named(root, "CURRENT") + ": found a link")


def test_a_pointer_that_is_a_folder_is_refused(root: Path) -> None:
    (root / "CURRENT").unlink()
    (root / "CURRENT").mkdir()
    refused(root, named(root, "CURRENT") + ": found no regular file")


@pytest.mark.parametrize("where", [".", "absent", "file"])
def test_a_path_without_pointer_and_manifest_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("v1\n")
    refused(tmp_path / where, re.escape(str(tmp_path / where)) + ": neither CURRENT nor manifest.json found")
