"""Prepare: encode a click log once and write what every phase reads.

    prepared.json                      name, counts, digest of everything below, where the log came from
    example.json                       one raw request, in the data's own values
    schema.json vocabulary.json catalogue.npz      the encoder's files, as they will stand in the bundle
    {train,validation,test}_ids.npy    int32 [N, F], fields in schema order
    {train,validation,test}_clicks.npy float32 [N]
    {…}_true_probability.npy           float64 [N], where a click model made the log

Each part of the split is a file of its own, so that only `evaluate` ever opens the test rows. The folder is written
under a temporary name and renamed.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from service.bundle import Catalogue, Encoder, Field, Ids, encoder_files, json_bytes, read_encoder_files
from training.data.click_log import ClickLog, DataError

PARTS = ("train", "validation", "test")
_META = "prepared.json"
_EXAMPLE = "example.json"
_EXAMPLE_ITEMS = 5


@dataclass(frozen=True)
class Rows:
    """One part of the split: ids_NF int32 [N, F], clicks_N float32 [N]."""

    ids_NF: Ids
    clicks_N: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.clicks_N)


@dataclass(frozen=True)
class Prepared:
    """An encoded click log on disk, opened."""

    directory: Path
    encoder: Encoder
    catalogue: Catalogue
    meta: Mapping[str, Any]
    example: Mapping[str, Any]
    """A raw request: context {field: value}, candidates {field: [value, …]}, items [id, …], the same five items."""

    @property
    def digest(self) -> str:
        """SHA-256 over every file: two runs with the same digest saw the same rows in the same ids."""
        return str(self.meta["digest"])

    @property
    def group_field(self) -> str | None:
        """The field within whose values rows are ranked against each other (GAUC); None if the data has none."""
        field: str | None = self.meta.get("group_field")
        return field

    def rows(self, part: str) -> Rows:
        """The rows of `train`, `validation` or `test`, memory-mapped."""
        return Rows(self._array(f"{part}_ids.npy"), self._array(f"{part}_clicks.npy"))

    def true_probability(self, part: str) -> npt.NDArray[np.float64] | None:
        """The click model's own probabilities [N] of a part, or None if the log came from the world."""
        name = f"{part}_true_probability.npy"
        return self._array(name) if (self.directory / name).exists() else None

    def _array(self, name: str) -> npt.NDArray[Any]:
        try:
            array: npt.NDArray[Any] = np.load(self.directory / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.directory / name}: not readable ({error}); remove the folder and run `prepare` again"
            ) from error
        return array


def prepare(log: ClickLog, directory: Path) -> Prepared:
    """Encode `log`, write it to `directory` whole or not at all, and open it. An older folder there is replaced."""
    _check_parts(log)
    _check_group(log)
    encoder = Encoder(log.schema, log.vocabularies)
    files = {**encoder_files(encoder, _catalogue(log, encoder)), **_arrays(log, encoder)}
    files[_EXAMPLE] = json_bytes(_example(log))
    files[_META] = json_bytes(_meta(log, encoder, files), indent=2)
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.tmp-", dir=directory.parent))
    try:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        shutil.rmtree(directory, ignore_errors=True)
        temporary.rename(directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return open_prepared(directory)


def open_prepared(directory: Path) -> Prepared:
    """Open what `prepare` wrote; raises DataError if nothing is there."""
    if not (directory / _META).is_file():
        raise DataError(f"{directory}: holds no {_META}; run `python -m training prepare` first")
    files = ("schema.json", "vocabulary.json", "catalogue.npz")
    try:
        meta, example = (json.loads((directory / name).read_bytes()) for name in (_META, _EXAMPLE))
        encoder, catalogue = read_encoder_files({name: (directory / name).read_bytes() for name in files})
    except (OSError, ValueError) as error:
        raise DataError(f"{directory}: damaged ({error}); remove it and run `prepare` again") from error
    if catalogue is None:
        raise DataError(f"{directory}: holds no catalogue; remove it and run `prepare` again")
    return Prepared(directory, encoder, catalogue, meta, example)


def _check_parts(log: ClickLog) -> None:
    """Every part needs clicked rows and others: without both there is nothing to rank, nothing to learn."""
    for part in PARTS:
        clicks = log.clicks_N[getattr(log.split, part)]
        if not 0 < clicks.sum() < len(clicks):
            raise DataError(
                f"{log.name}: the {part} part has {int(clicks.sum())} clicked of {len(clicks)} rows, expected some "
                "of both; give more rows"
            )


def _check_group(log: ClickLog) -> None:
    names = [field.name for field in log.schema.fields]
    if log.group_field is not None and log.group_field not in names:
        raise DataError(f"{log.name}: group_field is {log.group_field!r}, expected one of the fields {names} or None")


def encode_frame(encoder: Encoder, fields: tuple[Field, ...], frame: pl.DataFrame) -> Ids:
    """Ids int32 [N, len(fields)] of a frame with a column per field."""
    return encoder.encode(fields, {field.name: frame[field.name].to_list() for field in fields})


def _catalogue(log: ClickLog, encoder: Encoder) -> Catalogue:
    ids_IF = encode_frame(encoder, log.schema.candidate, log.items)
    return Catalogue([str(item) for item in log.items[log.item_field]], ids_IF)


def _example(log: ClickLog) -> dict[str, Any]:
    """The context of the first validation row, and the catalogue's first items."""
    context = log.columns.select(field.name for field in log.schema.context).row(log.split.validation[0], named=True)
    candidates = log.items.select(field.name for field in log.schema.candidate).head(_EXAMPLE_ITEMS)
    items = candidates[log.item_field].to_list()
    return {"context": context, "candidates": candidates.to_dict(as_series=False), "items": items}


def _arrays(log: ClickLog, encoder: Encoder) -> dict[str, bytes]:
    ids_NF = encode_frame(encoder, log.schema.fields, log.columns)
    arrays: dict[str, bytes] = {}
    for part in PARTS:
        rows = getattr(log.split, part)
        arrays[f"{part}_ids.npy"] = _npy(ids_NF[rows])
        arrays[f"{part}_clicks.npy"] = _npy(log.clicks_N[rows])
        if log.true_probability_N is not None:
            arrays[f"{part}_true_probability.npy"] = _npy(log.true_probability_N[rows])
    return arrays


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _meta(log: ClickLog, encoder: Encoder, files: Mapping[str, bytes]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return {
        "name": log.name,
        "rows": {part: len(getattr(log.split, part)) for part in PARTS},
        "click_rate": float(log.clicks_N.mean()),
        "vocabulary_sizes": dict(zip((field.name for field in log.schema.fields), encoder.sizes, strict=True)),
        "items": len(log.items),
        "group_field": log.group_field,
        "schema_digest": log.schema.digest,
        "digest": digest.hexdigest(),
        "source": log.source,
    }
