"""Every way a bundle can be damaged is refused with the file's name; nothing is ever read halfway."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.bundle import Bundle, BundleError, read_bundle, write_bundle

LISTED = [
    "MODEL_CARD.md",
    "catalogue.npz",
    "embedding.npy",
    "example.json",
    "golden.npz",
    "model.onnx",
    "schema.json",
    "vocabulary.json",
]
reusing_the_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def root(tiny: Bundle, tmp_path: Path) -> Path:
    """A root with one whole version, for a test to damage."""
    write_bundle(tmp_path, tiny)
    return tmp_path


@pytest.fixture
def directory(root: Path) -> Path:
    return root / "v1"


def refused(root: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read_bundle(root)


def edit_manifest(directory: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    manifest = json.loads((directory / "manifest.json").read_bytes())
    change(manifest)
    (directory / "manifest.json").write_text(json.dumps(manifest))


def forge(directory: Path, name: str, content: bytes) -> None:
    """Replace a file and its digest: what is left to refuse it is the content itself."""
    (directory / name).write_bytes(content)
    edit_manifest(directory, lambda manifest: manifest["files"].update({name: hashlib.sha256(content).hexdigest()}))


def npz(directory: Path, name: str, **changed: Any) -> bytes:
    with np.load(directory / name) as archive:
        arrays = {**archive, **changed}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def named(directory: Path, name: str) -> str:
    return re.escape(str(directory / name))


def test_the_bundle_these_tests_damage_is_good(root: Path, directory: Path) -> None:
    read_bundle(root)
    forge(directory, "golden.npz", npz(directory, "golden.npz"))
    edit_manifest(directory, lambda manifest: manifest)
    read_bundle(root)


@pytest.mark.parametrize("name", LISTED)
@reusing_the_folder
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused(directory: Path, name: str, data: st.DataObject) -> None:
    whole = (directory / name).read_bytes()
    try:
        (directory / name).write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        refused(directory, named(directory, name) + ": sha256 is .* the manifest expects")
    finally:
        (directory / name).write_bytes(whole)


@pytest.mark.parametrize("name", LISTED)
@reusing_the_folder
@given(data=st.data())
def test_one_flipped_bit_is_refused(directory: Path, name: str, data: st.DataObject) -> None:
    whole = (directory / name).read_bytes()
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        (directory / name).write_bytes(flipped)
        refused(directory, named(directory, name) + ": sha256 is .* the manifest expects")
    finally:
        (directory / name).write_bytes(whole)


@reusing_the_folder
@given(data=st.data())
def test_a_manifest_cut_anywhere_is_refused(directory: Path, data: st.DataObject) -> None:
    """But for its last line end, without which it says the same."""
    whole = (directory / "manifest.json").read_bytes()
    try:
        (directory / "manifest.json").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 2))])
        refused(directory, named(directory, "manifest.json") + ": not JSON")
    finally:
        (directory / "manifest.json").write_bytes(whole)


@pytest.mark.parametrize("name", LISTED)
def test_a_wrong_digest_is_refused(root: Path, directory: Path, name: str) -> None:
    edit_manifest(directory, lambda manifest: manifest["files"].update({name: "0" * 64}))
    refused(root, named(directory, name) + ": sha256 is [0-9a-f]{64} over .* expects 0{64}")


@pytest.mark.parametrize("digest", [None, 7, "", ["0" * 64]], ids=repr)
def test_a_digest_that_is_none_is_refused(root: Path, directory: Path, digest: Any) -> None:
    edit_manifest(directory, lambda manifest: manifest["files"].update({"model.onnx": digest}))
    refused(root, named(directory, "model.onnx"))


@pytest.mark.parametrize("name", [*LISTED, "manifest.json"])
def test_a_missing_file_is_refused(root: Path, directory: Path, name: str) -> None:
    (directory / name).unlink()
    refused(root, named(directory, name) + ": found nothing, expected a regular file")


@pytest.mark.parametrize("name", [*LISTED, "manifest.json"])
def test_a_link_is_refused_even_to_the_right_content(root: Path, directory: Path, name: str) -> None:
    (directory / name).rename(root / "elsewhere")
    (directory / name).symlink_to(root / "elsewhere")
    refused(root, named(directory, name) + ": found a link, expected a regular file")


@pytest.mark.parametrize("name", [*LISTED, "manifest.json"])
def test_a_folder_in_place_of_a_file_is_refused(root: Path, directory: Path, name: str) -> None:
    (directory / name).unlink()
    (directory / name).mkdir()
    refused(root, named(directory, name) + ": found no regular file")


def test_a_pipe_in_place_of_a_file_is_refused_without_waiting_for_it(root: Path, directory: Path) -> None:
    (directory / "model.onnx").unlink()
    os.mkfifo(directory / "model.onnx")
    refused(root, named(directory, "model.onnx") + ": found no regular file")


@pytest.mark.parametrize("name", [name for name in LISTED if name not in ("catalogue.npz", "embedding.npy")])
def test_a_manifest_that_does_not_list_a_file_is_refused(root: Path, directory: Path, name: str) -> None:
    edit_manifest(directory, lambda manifest: manifest["files"].pop(name))
    refused(root, named(directory, "manifest.json") + ": lists .* expected .*" + re.escape(name))


@pytest.mark.parametrize("name", ["weights.pkl", "../v1/model.onnx", "/etc/hostname", ""])
def test_a_manifest_that_lists_another_file_is_refused(root: Path, directory: Path, name: str) -> None:
    edit_manifest(directory, lambda manifest: manifest["files"].update({name: "0" * 64}))
    refused(root, named(directory, "manifest.json") + ": lists ")


def test_files_the_manifest_does_not_list_are_never_opened(root: Path, directory: Path) -> None:
    (directory / "notes.txt").write_text("added by hand")
    read_bundle(root)


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b'"text"', b"\xff", b"[" * 100_000, b"{}", b'{"format_version": 1}'],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(root: Path, directory: Path, content: bytes) -> None:
    (directory / "manifest.json").write_bytes(content)
    refused(root, re.escape(str(directory)) + ".*manifest")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(format_version=1), "format_version is 1, expected 4; export again"),
        (lambda manifest: manifest.update(threads=4), "'threads'.*expected the keys"),
        (lambda manifest: manifest.pop("metrics"), "expected the keys .*'metrics'"),
        (lambda manifest: manifest.update(version="../v1"), "version is '../v1'"),
        (
            lambda manifest: manifest.update(schema_digest="0" * 64),
            "schema.json has digest .* names 0{64}",
        ),
        (lambda manifest: manifest["calibration"].update(slope=float("nan")), "not JSON"),
        (lambda manifest: manifest["calibration"].update(slope=10**400), "calibration"),
    ],
    ids=["format", "unknown key", "missing key", "version", "schema digest", "NaN", "beyond a float"],
)
def test_a_manifest_that_says_something_wrong_is_refused(
    root: Path, directory: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit_manifest(directory, change)
    refused(root, re.escape(str(directory)) + ".*" + message)


@pytest.mark.parametrize("name", ["schema.json", "vocabulary.json", "example.json"])
@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"not json", b'{"a": Infinity}'], ids=repr)
def test_another_json_under_a_right_digest_is_refused(root: Path, directory: Path, name: str, content: bytes) -> None:
    forge(directory, name, content)
    refused(root, named(directory, "").rstrip("/") + f".*{name}: (not JSON|got a JSON)")


def test_a_model_card_that_is_not_utf8_is_refused(root: Path, directory: Path) -> None:
    forge(directory, "MODEL_CARD.md", b"# caf\xe9")
    refused(root, re.escape(str(directory)) + r": MODEL_CARD\.md: .*UTF-8")


@pytest.mark.parametrize("ids", [[[5, 2]], [[-1, 2]], [[2, 5]], [[2]], [[2, 2, 2]]], ids=str)
def test_catalogue_ids_outside_their_tables_are_refused(root: Path, directory: Path, ids: list[list[int]]) -> None:
    """Item has 2 + 3 ids, price as many: 5 is the first that is outside."""
    forge(
        directory,
        "catalogue.npz",
        npz(directory, "catalogue.npz", items=["a"], candidate_ids_IF=np.array(ids, np.int32)),
    )
    refused(root, re.escape(str(directory)) + r".*catalogue\.npz: ids of shape .* do not fit tables of \[5, 5\] ids")


@pytest.mark.parametrize("key", ["context_ids_GF", "candidate_ids_RF"])
@pytest.mark.parametrize("wrong", [-1, 99])
def test_golden_ids_outside_their_tables_are_refused(root: Path, directory: Path, key: str, wrong: int) -> None:
    with np.load(directory / "golden.npz") as archive:
        ids = archive[key].copy()
    ids[-1, 0] = wrong
    forge(directory, "golden.npz", npz(directory, "golden.npz", **{key: ids}))
    refused(root, re.escape(str(directory)) + r".*golden\.npz: ids of shape .* do not fit")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_golden_logits_that_are_not_finite_are_refused(root: Path, directory: Path, wrong: float) -> None:
    logits_R = np.array([0.5, wrong, 1, 2], np.float32)
    forge(directory, "golden.npz", npz(directory, "golden.npz", logits_R=logits_R))
    refused(root, re.escape(str(directory)) + r".*golden\.npz: request 1 has logits that are not finite")


class Explosive:
    """Makes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["golden.npz", "catalogue.npz"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_pickle_is_refused_and_never_run(root: Path, directory: Path, name: str, wrapped: bool) -> None:
    explosive = np.array([Explosive(root / "exploded")], object)
    buffer = io.BytesIO()
    np.savez(buffer, items=explosive, context_ids_GF=explosive) if wrapped else buffer.write(explosive.dumps())
    forge(directory, name, buffer.getvalue())
    refused(root, re.escape(str(directory)) + f".*{name}: not readable")
    assert not (root / "exploded").exists()
