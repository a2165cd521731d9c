"""Read and write a bundle: one directory per version, written whole or not at all, read strictly or not at all.

    bundles/student/CURRENT            the version being served, one line (see service.bundle.versions)
    bundles/student/<version>/         manifest.json and the files it lists with their sha256

A version never changes once written. Writing fills a hidden directory beside it, syncs it to disk and renames it;
CURRENT is replaced in one step afterwards, so a reader sees the old version or the new one, never a mixture. Files
are hashed and parsed from the same bytes, embedding.npy through the one mapping it is used by: what was checked is
what is used, as long as nobody writes into a version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.bundle.catalogue import Catalogue
from service.bundle.directory import new_directory
from service.bundle.embedding import EMBEDDING, TABLE_FILES, EmbeddingTable
from service.bundle.encoder import Encoder
from service.bundle.encoder_files import check_ids, encoder_files, json_bytes, parse_json, read_encoder_files
from service.bundle.errors import BundleError
from service.bundle.fields import Schema
from service.bundle.files import check_regular, read_regular, readable
from service.bundle.golden import Golden
from service.bundle.manifest import Manifest
from service.bundle.npy import map_file, npy_array, npy_parts
from service.bundle.versions import MANIFEST, make_current, resolve
from service.bundle.weights import WEIGHTS, Weights

REQUIRED = frozenset({"schema.json", "vocabulary.json", "model.onnx", "golden.npz", "example.json", "MODEL_CARD.md"})
SMALL = "model_small.onnx"
OPTIONAL = frozenset({"catalogue.npz", SMALL, WEIGHTS}) | TABLE_FILES
DECISIVE = ("model.onnx", SMALL, "schema.json", "vocabulary.json", "catalogue.npz", WEIGHTS, *sorted(TABLE_FILES))
"""The files that decide an answer; the others describe or prove it."""

Parts = Sequence[bytes | memoryview]
"""The content of a file, in pieces that follow one another: a large array is never copied to stand after its header."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Everything needed to answer a request with one model."""

    manifest: Manifest
    encoder: Encoder
    catalogue: Catalogue | None
    golden: Golden
    example: Mapping[str, Any]
    """A raw request of every form, and the probabilities the trained model gives it."""
    model_onnx: bytes
    model_card: str
    model_small_onnx: bytes | None = None
    """The same model in the form that is fastest for requests of up to `manifest.graph.small_up_to` candidates."""
    embedding: EmbeddingTable | None = None
    """What the graphs refer to as `embedding.npy`; None if they hold all their numbers themselves."""
    weights: Weights | None = None
    """Of a DAGFM whose context can be computed once: what a native scorer needs beside the embedding table."""

    @property
    def schema(self) -> Schema:
        """The ordered fields."""
        return self.encoder.schema


def write_bundle(root: Path, bundle: Bundle) -> Path:
    """Write `bundle` as a new version under `root`, make it CURRENT, and return its directory.

    The manifest's `files` are filled in here. A version that exists already is checked to give the same answers and
    made CURRENT without being rewritten.

    Raises:
        BundleError: the bundle could not be read back, or its version exists with another content.
    """
    contents = _contents(bundle)
    parts: dict[str, Parts] = {name: (content,) for name, content in contents.items()}
    if bundle.embedding is not None:
        parts |= {name: npy_parts(array) for name, array in bundle.embedding.arrays.items()}
    manifest = _with_digests(bundle.manifest, parts)
    parts[MANIFEST] = (json_bytes(manifest.to_json(), indent=2),)
    target = root / manifest.version
    with _naming(target):
        _assemble(manifest, contents, bundle.embedding)
    root.mkdir(parents=True, exist_ok=True)
    if target.exists():
        _check_same(target, manifest)
    else:
        _write_directory(target, parts)
    make_current(root, manifest.version)
    return target


def read_bundle(path: Path) -> Bundle:
    """Read a version's directory, or the CURRENT version of a root.

    Raises:
        BundleError: naming the file, what was found, what was expected and what to do.
    """
    directory = resolve(path)
    manifest = parse_manifest(str(directory), read_regular(directory / MANIFEST))
    names = set(manifest.files)
    contents = {name: _read_verified(directory / name, manifest.files[name]) for name in names - TABLE_FILES}
    mapped = {name: _map_verified(directory / name, manifest.files[name]) for name in names & TABLE_FILES}
    with _naming(directory):
        arrays = {name: npy_array(name, content) for name, content in mapped.items()}
        return _assemble(manifest, contents, EmbeddingTable.of(arrays) if arrays else None)


def parse_manifest(where: str, content: bytes) -> Manifest:
    """The manifest of the version at `where`; raises BundleError, also if it lists other files than a bundle has."""
    described = parse_json(f"{where}/{MANIFEST}", content)
    with _naming(where):
        manifest = Manifest.from_json(described)
    names = set(manifest.files)
    if not names >= REQUIRED or not names <= REQUIRED | OPTIONAL:
        raise BundleError(f"{where}/{MANIFEST}: lists {sorted(names)}, expected {sorted(REQUIRED)}; export again")
    return manifest


def _contents(bundle: Bundle) -> dict[str, bytes]:
    return {
        **encoder_files(bundle.encoder, bundle.catalogue),
        "model.onnx": bundle.model_onnx,
        "golden.npz": bundle.golden.to_bytes(),
        "example.json": json_bytes(bundle.example, indent=2),
        "MODEL_CARD.md": bundle.model_card.encode(),
        **({} if bundle.model_small_onnx is None else {SMALL: bundle.model_small_onnx}),
        **({} if bundle.weights is None else {WEIGHTS: bundle.weights.to_bytes()}),
    }


def _with_digests(manifest: Manifest, parts: Mapping[str, Parts]) -> Manifest:
    digests = {name: _sha256(content) for name, content in sorted(parts.items())}
    return Manifest.from_json({**manifest.to_json(), "files": digests})


def _sha256(parts: Parts) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _assemble(manifest: Manifest, contents: Mapping[str, bytes], embedding: EmbeddingTable | None) -> Bundle:
    encoder, catalogue = read_encoder_files(contents)
    if encoder.schema.digest != manifest.schema_digest:
        found = encoder.schema.digest
        raise BundleError(f"schema.json has digest {found}, the manifest names {manifest.schema_digest}")
    bundle = Bundle(
        manifest=manifest,
        encoder=encoder,
        catalogue=catalogue,
        golden=Golden.from_bytes(contents["golden.npz"]),
        example=parse_json("example.json", contents["example.json"]),
        model_onnx=contents["model.onnx"],
        model_card=_text("MODEL_CARD.md", contents["MODEL_CARD.md"]),
        model_small_onnx=contents.get(SMALL),
        embedding=embedding,
        weights=Weights.from_bytes(contents[WEIGHTS]) if WEIGHTS in contents else None,
    )
    if (SMALL in contents) != (manifest.graph.small_up_to > 0):
        found = "is there" if SMALL in contents else "is missing"
        raise BundleError(f"{SMALL}: {found}, and small_up_to is {manifest.graph.small_up_to}; export again")
    _check_golden(bundle)
    _check_numbers(bundle)
    return bundle


@contextmanager
def _naming(directory: Path | str) -> Iterator[None]:
    """Say which bundle it is that an error is about."""
    try:
        yield
    except BundleError as error:
        raise BundleError(f"{directory}: {error}") from error


def _check_same(target: Path, manifest: Manifest) -> None:
    old = read_bundle(target).manifest
    changed = [name for name in DECISIVE if old.files.get(name) != manifest.files.get(name)]
    if old.calibration != manifest.calibration:
        changed.append("calibration")
    if changed:
        raise BundleError(
            f"{target}: version exists with another {', '.join(changed)}; give the new one its own version"
        )


def _text(file: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"{file}: byte {error.start} is not UTF-8; export again") from error


def _check_golden(bundle: Bundle) -> None:
    context_fields = len(bundle.schema.context)
    for request in bundle.golden:
        check_ids("golden.npz", request.context_ids, bundle.encoder.sizes[:context_fields])
        check_ids("golden.npz", request.candidate_ids, bundle.encoder.sizes[context_fields:])


def _check_numbers(bundle: Bundle) -> None:
    sizes, embedding, weights = bundle.encoder.sizes, bundle.embedding, bundle.weights
    stated = bundle.manifest.embedding
    if embedding is not None:
        embedding.check_fits(sizes)
    if stated is not None and (embedding is None or embedding.stored_as != stated.stored_as):
        found = "missing" if embedding is None else embedding.stored_as
        raise BundleError(f"{EMBEDDING}: {found}, the manifest says {stated.stored_as}; export again")
    if weights is not None and embedding is None:
        raise BundleError(f"{WEIGHTS}: there is no {EMBEDDING} beside it; export again")
    if weights is not None and embedding is not None:
        weights.check_fits(len(sizes), embedding.dimension)


def _read_verified(path: Path, sha256: str) -> bytes:
    content = read_regular(path)
    _verify(path, content, sha256)
    return content


def _map_verified(path: Path, sha256: str) -> memoryview:
    check_regular(path)
    with readable(path):
        content = map_file(path)
    _verify(path, content, sha256)
    return content


def _verify(path: Path, content: bytes | memoryview, sha256: str) -> None:
    found = _sha256((content,))
    if found != sha256:
        raise BundleError(
            f"{path}: sha256 is {found} over {len(content)} bytes, the manifest expects {sha256}; "
            "the file was changed or cut short: export again or restore it"
        )


def _write_directory(target: Path, files: Mapping[str, Parts]) -> None:
    with new_directory(target) as directory:
        for name, parts in files.items():
            with (directory / name).open("wb") as file:
                file.writelines(parts)
