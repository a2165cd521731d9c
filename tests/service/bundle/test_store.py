from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.bundle import (
    Bundle,
    BundleError,
    Calibration,
    Catalogue,
    EmbeddingTable,
    Encoder,
    Golden,
    GoldenRequest,
    Manifest,
    Vocabulary,
    read_bundle,
    replace_file,
    write_bundle,
)

FILES = [
    "MODEL_CARD.md", "catalogue.npz", "embedding.npy", "example.json", "golden.npz", "manifest.json", "model.onnx",
    "schema.json", "vocabulary.json",
]  # fmt: skip


def version(bundle: Bundle, name: str, **parts: Any) -> Bundle:
    return dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, version=name), **parts)


def assert_same(one: Bundle, other: Bundle) -> None:
    """Equal in everything but the digests, which writing fills in."""
    assert dataclasses.replace(one.manifest, files={}) == dataclasses.replace(other.manifest, files={})
    assert one.schema == other.schema
    assert one.encoder.vocabularies == other.encoder.vocabularies
    assert one.catalogue is not None
    assert other.catalogue is not None
    assert one.catalogue.items == other.catalogue.items
    np.testing.assert_array_equal(one.catalogue.candidate_ids_IF, other.catalogue.candidate_ids_IF, strict=True)
    assert one.golden.to_bytes() == other.golden.to_bytes()
    assert one.example == other.example
    assert (one.model_onnx, one.model_card) == (other.model_onnx, other.model_card)
    assert one.embedding is not None
    assert other.embedding is not None
    np.testing.assert_array_equal(one.embedding.rows_VD, other.embedding.rows_VD, strict=True)


def test_a_bundle_reads_back_as_it_was_written(tiny: Bundle, tmp_path: Path) -> None:
    write_bundle(tmp_path, tiny)
    assert_same(read_bundle(tmp_path), tiny)


def test_a_version_can_be_read_by_its_own_directory(tiny: Bundle, tmp_path: Path) -> None:
    assert_same(read_bundle(write_bundle(tmp_path, tiny)), tiny)


def test_a_bundle_without_items_has_no_catalogue(tiny: Bundle, tmp_path: Path) -> None:
    directory = write_bundle(tmp_path, dataclasses.replace(tiny, catalogue=None))
    assert not (directory / "catalogue.npz").exists()
    assert read_bundle(tmp_path).catalogue is None


def test_a_version_holds_the_published_files_and_nothing_else(tiny: Bundle, tmp_path: Path) -> None:
    directory = write_bundle(tmp_path / "bundles" / "student", tiny)
    assert directory == tmp_path / "bundles" / "student" / "v1"
    assert sorted(path.name for path in directory.iterdir()) == FILES
    assert sorted(path.name for path in directory.parent.iterdir()) == ["CURRENT", "v1"]
    assert (directory.parent / "CURRENT").read_text() == "v1\n"


def test_the_manifest_lists_the_sha256_of_every_other_file(tiny: Bundle, tmp_path: Path) -> None:
    directory = write_bundle(tmp_path, tiny)
    listed = json.loads((directory / "manifest.json").read_bytes())["files"]
    assert listed == {
        name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in FILES if name != "manifest.json"
    }


def test_others_may_read_what_was_written(tiny: Bundle, tmp_path: Path) -> None:
    """The service runs as another user than the exporter."""
    directory = write_bundle(tmp_path, tiny)
    assert directory.stat().st_mode & 0o777 == 0o755
    for path in [*directory.iterdir(), tmp_path / "CURRENT"]:
        assert path.stat().st_mode & 0o444 == 0o444


def test_a_new_version_becomes_current_and_the_old_one_stays(tiny: Bundle, tmp_path: Path) -> None:
    old = write_bundle(tmp_path, tiny)
    write_bundle(tmp_path, version(tiny, "v2", model_onnx=b"new"))
    assert read_bundle(tmp_path).manifest.version == "v2"
    assert_same(read_bundle(old), tiny)


def test_going_back_is_writing_the_old_version_again(tiny: Bundle, tmp_path: Path) -> None:
    write_bundle(tmp_path, tiny)
    write_bundle(tmp_path, version(tiny, "v2", model_onnx=b"new"))
    write_bundle(tmp_path, tiny)
    assert_same(read_bundle(tmp_path), tiny)


def test_a_version_that_exists_is_not_rewritten(tiny: Bundle, tmp_path: Path) -> None:
    directory = write_bundle(tmp_path, tiny)
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in directory.iterdir()}
    write_bundle(tmp_path, dataclasses.replace(tiny, model_card="# Exported again\n"))
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in directory.iterdir()} == before


def other_vocabulary(bundle: Bundle) -> Encoder:
    """As many values in another order: the same weights would be read at other rows."""
    vocabularies = bundle.encoder.vocabularies
    return Encoder(bundle.schema, {**vocabularies, "user": Vocabulary(vocabularies["user"].values[::-1])})


def with_small(manifest: Manifest) -> Manifest:
    return dataclasses.replace(manifest, graph=dataclasses.replace(manifest.graph, small_form="rows", small_up_to=3))


def test_a_small_graph_reads_back_with_the_size_it_answers(tiny: Bundle, tmp_path: Path) -> None:
    small = dataclasses.replace(tiny, model_small_onnx=b"small", manifest=with_small(tiny.manifest))
    assert (write_bundle(tmp_path, small) / "model_small.onnx").read_bytes() == b"small"
    read = read_bundle(tmp_path)
    assert (read.model_small_onnx, read.manifest.graph.small_up_to) == (b"small", 3)
    assert [read.manifest.graph.form_for(candidates) for candidates in (1, 3, 4)] == ["rows", "rows", "split"]


def test_a_small_graph_and_its_size_belong_together(tiny: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"model_small\.onnx: is there, and small_up_to is 0; export again"):
        write_bundle(tmp_path, dataclasses.replace(tiny, model_small_onnx=b"small"))
    with pytest.raises(BundleError, match=r"model_small\.onnx: is missing, and small_up_to is 3; export again"):
        write_bundle(tmp_path, dataclasses.replace(tiny, manifest=with_small(tiny.manifest)))
    assert list(tmp_path.iterdir()) == []


PARTS_THAT_DECIDE = [
    "model",
    "small model",
    "table",
    "no table",
    "vocabulary",
    "catalogue",
    "no catalogue",
    "calibration",
]


@pytest.mark.parametrize("part", PARTS_THAT_DECIDE)
def test_another_model_under_a_version_that_exists_is_refused_and_changes_nothing(
    tiny: Bundle, tmp_path: Path, part: str
) -> None:
    """Whatever decides an answer belongs to the version: else the new one would silently never be served."""
    write_bundle(tmp_path, tiny)
    write_bundle(tmp_path, version(tiny, "v2"))
    recalibrated = dataclasses.replace(tiny.manifest, calibration=Calibration(slope=2.0))
    changed: dict[str, dict[str, Any]] = {
        "model": {"model_onnx": b"another"},
        "small model": {"model_small_onnx": b"small", "manifest": with_small(tiny.manifest)},
        "table": {"embedding": EmbeddingTable(rows_VD=np.ones((20, 2), np.float32))},
        "no table": {"embedding": None, "manifest": dataclasses.replace(tiny.manifest, embedding=None)},
        "vocabulary": {"encoder": other_vocabulary(tiny)},
        "catalogue": {"catalogue": Catalogue(["lamp"], np.array([[2, 2]], np.int32))},
        "no catalogue": {"catalogue": None},
        "calibration": {"manifest": recalibrated},
    }
    with pytest.raises(BundleError, match=r"v1: version exists with another .*; give the new one its own version"):
        write_bundle(tmp_path, dataclasses.replace(tiny, **changed[part]))
    assert read_bundle(tmp_path).manifest.version == "v2"
    assert_same(read_bundle(tmp_path / "v1"), tiny)


def outside(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Parts that do not fit the rest of the bundle."""
    first = next(iter(bundle.golden))
    far = np.array([[99, 2]], np.int32)
    return {
        "catalogue": {"catalogue": Catalogue(["lamp"], far)},
        "table": {"embedding": EmbeddingTable(rows_VD=np.ones((19, 2), np.float32))},
        "golden": {"golden": Golden((GoldenRequest(first.context_ids, far, first.logits),))},
        "schema digest": {"manifest": dataclasses.replace(bundle.manifest, schema_digest="0" * 64)},
    }


@pytest.mark.parametrize("part", ["catalogue", "table", "golden", "schema digest"])
def test_a_bundle_that_could_not_be_read_is_not_written(tiny: Bundle, tmp_path: Path, part: str) -> None:
    """Else CURRENT would point to a version that no service can load."""
    write_bundle(tmp_path, tiny)
    bad = dataclasses.replace(tiny, **outside(tiny)[part])
    with pytest.raises(BundleError, match=r"v2: (catalogue\.npz|embedding\.npy|golden\.npz|schema\.json)"):
        write_bundle(tmp_path, version(bad, "v2"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "v1"]
    assert_same(read_bundle(tmp_path), tiny)


def test_replacing_a_file_leaves_the_new_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for content in (b"first", b"second, longer", b""):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]
