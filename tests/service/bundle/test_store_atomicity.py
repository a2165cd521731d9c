"""Killed, or out of space, at any moment: a reader sees the old version whole or the new one whole."""

from __future__ import annotations

import dataclasses
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.bundle import Bundle, BundleError, read_bundle, replace_file, write_bundle

WRITER = """
import dataclasses, itertools, sys
from pathlib import Path
from service.bundle import read_bundle, write_bundle

root, base, start = Path(sys.argv[1]), read_bundle(Path(sys.argv[2])), int(sys.argv[3])
for number in itertools.count(start):
    manifest = dataclasses.replace(base.manifest, version=f"v{number}", parameters=number)
    parts = {"model_onnx": b"%d " % number * 50_000, "model_card": f"{number}", "example": {"number": number}}
    write_bundle(root, dataclasses.replace(base, manifest=manifest, **parts))
"""


def number_of(bundle: Bundle) -> int:
    """The number that every part of a version written above carries, if they all carry the same."""
    number = bundle.manifest.parameters
    assert bundle.manifest.version == f"v{number}"
    assert bundle.model_onnx == b"%d " % number * 50_000
    assert bundle.model_card == f"{number}"
    assert bundle.example == {"number": number}
    return number


@contextmanager
def writing(root: Path, base: Path, start: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes version after version, killed at the end of the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", WRITER, root, base, str(start)], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_writer_killed_at_any_moment_leaves_whole_versions_only(tiny: Bundle, tmp_path: Path) -> None:
    """A dozen processes killed with SIGKILL: every version left is whole, and CURRENT names the last or, if death came
    between the two, the one before it.
    """
    root, base = tmp_path / "student", write_bundle(tmp_path / "base", tiny)
    moments = random.Random(5)  # noqa: S311 - moments of death, not secrets
    start, served = 0, -1
    for _ in range(12):
        with writing(root, base, start) as process:
            wait_for(root / f"v{start}", process)
            time.sleep(moments.uniform(0, 0.05))
        left = sorted(number_of(read_bundle(path)) for path in root.glob("v*"))
        assert left == list(range(len(left)))
        before_last = left[-1] - 1 if left[-1] > start else served
        served = number_of(read_bundle(root)) if (root / "CURRENT").exists() else -1
        assert served in {left[-1], before_last}
        start = left[-1] + 1


def test_a_reader_beside_a_writer_sees_whole_versions_in_order(tiny: Bundle, tmp_path: Path) -> None:
    root, base = tmp_path / "student", write_bundle(tmp_path / "base", tiny)
    seen: list[int] = []
    with writing(root, base, 0) as process:
        wait_for(root / "CURRENT", process)
        deadline = time.monotonic() + 30
        while len(set(seen)) < 20:
            assert time.monotonic() < deadline
            seen.append(number_of(read_bundle(root)))
    assert seen == sorted(seen)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: a write fails in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 1, 300, 600])
def test_a_version_that_does_not_fit_on_the_disk_leaves_the_old_one_served(
    tiny: Bundle, tmp_path: Path, size: int
) -> None:
    write_bundle(tmp_path, tiny)
    new = dataclasses.replace(tiny, manifest=dataclasses.replace(tiny.manifest, version="v2"), model_onnx=bytes(1000))
    with full_disk(size), pytest.raises(OSError, match="File too large"):
        write_bundle(tmp_path, new)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "v1"]
    assert read_bundle(tmp_path).manifest.version == "v1"
    write_bundle(tmp_path, new)
    assert read_bundle(tmp_path).manifest.version == "v2"


def test_a_file_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "state"
    replace_file(path, b"old")
    with full_disk(10), pytest.raises(OSError, match="File too large"):
        replace_file(path, bytes(1000))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


def test_a_root_that_is_a_file_is_left_alone(tiny: Bundle, tmp_path: Path) -> None:
    (tmp_path / "student").write_text("in the way")
    with pytest.raises(FileExistsError):
        write_bundle(tmp_path / "student", tiny)
    assert (tmp_path / "student").read_text() == "in the way"


def test_a_file_where_the_version_should_be_is_refused_and_the_old_one_stays(tiny: Bundle, tmp_path: Path) -> None:
    write_bundle(tmp_path, tiny)
    (tmp_path / "v2").write_text("in the way")
    new = dataclasses.replace(tiny, manifest=dataclasses.replace(tiny.manifest, version="v2"))
    with pytest.raises(BundleError, match=r"v2: neither CURRENT nor manifest\.json found"):
        write_bundle(tmp_path, new)
    assert read_bundle(tmp_path).manifest.version == "v1"


def test_a_pointer_that_cannot_be_replaced_leaves_no_rubbish(tiny: Bundle, tmp_path: Path) -> None:
    """A folder stands where CURRENT should be: the version is written, nothing points to it."""
    (tmp_path / "CURRENT").mkdir()
    with pytest.raises(BundleError, match="CURRENT cannot be replaced: Is a directory"):
        write_bundle(tmp_path, tiny)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "v1"]
