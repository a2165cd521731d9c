from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from service.bundle import (
    Bundle,
    BundleError,
    checked_version,
    current_version,
    make_current,
    previous_version,
    read_bundle,
    versions,
    write_bundle,
)


@pytest.fixture
def root(tiny: Bundle, tmp_path: Path) -> Path:
    """A bundle with the versions v1, v2 and v3, written in this order."""
    for version in ("v1", "v2", "v3"):
        write_bundle(tmp_path, dataclasses.replace(tiny, manifest=dataclasses.replace(tiny.manifest, version=version)))
    return tmp_path


def test_writing_makes_a_version_current_and_remembers_the_one_before(root: Path) -> None:
    assert (versions(root), current_version(root), previous_version(root)) == (["v1", "v2", "v3"], "v3", "v2")


def test_going_back_twice_is_going_forward(root: Path) -> None:
    assert make_current(root, previous_version(root)) == "v3"
    assert read_bundle(root).manifest.version == "v2"
    make_current(root, previous_version(root))
    assert read_bundle(root).manifest.version == "v3"


def test_making_the_current_version_current_forgets_nothing(root: Path) -> None:
    make_current(root, "v3")
    assert (current_version(root), previous_version(root)) == ("v3", "v2")


def test_there_is_nothing_to_go_back_to_after_the_first_version(tiny: Bundle, tmp_path: Path) -> None:
    write_bundle(tmp_path, tiny)
    with pytest.raises(BundleError, match=r"no version was current before; name one of v1$"):
        previous_version(tmp_path)


def test_a_stop_between_both_pointers_leaves_nothing_to_go_back_to(root: Path) -> None:
    (root / "PREVIOUS").write_text("v3\n")
    with pytest.raises(BundleError, match="no version was current before"):
        previous_version(root)


@pytest.mark.parametrize("name", ["v4", "../v1", "v1/../v2", "", "/etc", "v1\x00", "." * 300])
def test_only_versions_that_are_there_can_be_named(root: Path, name: str) -> None:
    with pytest.raises(BundleError, match="expected one of v1, v2, v3"):
        checked_version(root, name)


def test_a_versions_own_directory_has_no_current(root: Path) -> None:
    assert current_version(root / "v1") is None


def test_a_broken_pointer_is_mended_by_making_a_version_current(root: Path) -> None:
    (root / "CURRENT").write_text("../elsewhere\n")
    assert make_current(root, "v1") is None
    assert (current_version(root), previous_version(root)) == ("v1", "v2")
