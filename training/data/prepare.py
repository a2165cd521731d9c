"""Prepare: encode a click log once and write what every phase reads.

    prepared.json                      name, counts, digest of everything below, where the log came from
    example.json                       one raw request, in the data's own values
    schema.json vocabulary.json    the encoder's files, as they will stand in the bundle
    catalogue.npz                  as these, where the log has items
    {train,validation,test}_ids.npy    int32 [N, F], fields in schema order
    {train,validation,test}_clicks.npy float32 [N]
    {…}_true_probability.npy           float64 [N], where a click model made the log
    {…}_teacher_{name}.npy             float32 [N], logits that came with the log

Each part of the split is a file of its own, so that only `evaluate` ever opens the test rows. The folder is written
under a temporary name and renamed. A log of any size is written block by block, and opened by mapping it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from service.bundle import Catalogue, Encoder, Field, Ids, encoder_files, json_bytes, read_encoder_files
from training.data.click_log import ClickLog, DataError
from training.data.folder import Folder
from training.progress import rows_bar

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
    catalogue: Catalogue | None
    """None where the log has no items."""
    meta: Mapping[str, Any]
    example: Mapping[str, Any]
    """A raw request: context {field: value}, candidates {field: [value, …]} and, with a catalogue, items [id, …]: the
    same five."""

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

    def column(self, part: str, field: str) -> npt.NDArray[np.int32]:
        """Ids [N] of one field in one part; nothing else is read."""
        position = [known.name for known in self.encoder.schema.fields].index(field)
        return np.ascontiguousarray(self._array(f"{part}_ids.npy")[:, position])

    def true_probability(self, part: str) -> npt.NDArray[np.float64] | None:
        """The click model's own probabilities [N] of a part, or None if the log came from the world."""
        name = f"{part}_true_probability.npy"
        return self._array(name) if (self.directory / name).exists() else None

    @property
    def teacher_names(self) -> tuple[str, ...]:
        """Models whose logits came with the log."""
        return tuple(self.meta.get("teachers", ()))

    def teacher_logits(self, name: str, part: str) -> npt.NDArray[np.float32]:
        """Logits float32 [N] of one of these models, memory-mapped; raises DataError for a name that is none."""
        if name not in self.teacher_names:
            raise DataError(
                f"{self.directory}: holds no logits of teacher {name!r}, only of {list(self.teacher_names)}"
            )
        return self._array(f"{part}_teacher_{name}.npy")

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
    with Folder(directory) as folder:
        for name, content in encoder_files(encoder, _catalogue(log, encoder)).items():
            folder.write(name, content)
        folder.write(_EXAMPLE, json_bytes(_example(log)))
        _write_arrays(folder, log, encoder)
        folder.write(_META, json_bytes(_meta(log, encoder, folder.digest), indent=2))
    return open_prepared(directory)


def open_prepared(directory: Path) -> Prepared:
    """Open what `prepare` wrote; raises DataError if nothing is there."""
    if not (directory / _META).is_file():
        raise DataError(f"{directory}: holds no {_META}; run `python -m training prepare` first")
    files = ["schema.json", "vocabulary.json"]
    if (directory / "catalogue.npz").exists():
        files.append("catalogue.npz")
    try:
        meta, example = (json.loads((directory / name).read_bytes()) for name in (_META, _EXAMPLE))
        encoder, catalogue = read_encoder_files({name: (directory / name).read_bytes() for name in files})
    except (OSError, ValueError) as error:
        raise DataError(f"{directory}: damaged ({error}); remove it and run `prepare` again") from error
    if catalogue is None and meta.get("items"):
        raise DataError(f"{directory}: damaged (catalogue.npz is not there); remove it and run `prepare` again")
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


def _catalogue(log: ClickLog, encoder: Encoder) -> Catalogue | None:
    if log.items is None or log.item_field is None:
        return None
    ids_IF = encode_frame(encoder, log.schema.candidate, log.items)
    return Catalogue([str(item) for item in log.items[log.item_field]], ids_IF)


def _example(log: ClickLog) -> dict[str, Any]:
    """The context of the first validation row, with the catalogue's first items, or with the first rows' candidates."""
    first = log.split.validation[:_EXAMPLE_ITEMS]
    context = {name: values[0] for name, values in _raw(log, log.schema.context, first[:1]).items()}
    if log.items is None or log.item_field is None:
        return {"context": context, "candidates": _raw(log, log.schema.candidate, first)}
    candidates = log.items.select(field.name for field in log.schema.candidate).head(_EXAMPLE_ITEMS)
    items = candidates[log.item_field].to_list()
    return {"context": context, "candidates": candidates.to_dict(as_series=False), "items": items}


def _raw(log: ClickLog, fields: tuple[Field, ...], rows: npt.NDArray[np.int64]) -> Mapping[str, list[Any]]:
    if isinstance(log.columns, pl.DataFrame):
        return log.columns.select(field.name for field in fields)[rows].to_dict(as_series=False)
    return log.columns.raw(fields, rows)


def _write_arrays(folder: Folder, log: ClickLog, encoder: Encoder) -> None:
    for part in PARTS:
        rows = getattr(log.split, part)
        folder.begin_array(f"{part}_ids.npy", (len(rows), len(encoder.schema.fields)), np.int32)
        folder.write_array(f"{part}_clicks.npy", log.clicks_N[rows])
        if log.true_probability_N is not None:
            folder.write_array(f"{part}_true_probability.npy", log.true_probability_N[rows])
        for name, logits_N in log.teacher_logits.items():
            folder.write_array(f"{part}_teacher_{name}.npy", logits_N[rows])
    for part, ids_NF in _encoded(log, encoder):
        folder.write(f"{part}_ids.npy", ids_NF.data.cast("B") if len(ids_NF) else b"")


def _encoded(log: ClickLog, encoder: Encoder) -> Iterator[tuple[str, Ids]]:
    """(part, ids [n, F]): together the rows of each part, in the order of the split."""
    if not isinstance(log.columns, pl.DataFrame):
        done = 0
        with rows_bar("write", len(log.clicks_N)) as report:
            for part, ids_NF in log.columns.encoded(encoder, log.split):
                yield part, ids_NF
                done += len(ids_NF)
                report(done, done)
        return
    ids_NF = encode_frame(encoder, log.schema.fields, log.columns)
    for part in PARTS:
        yield part, ids_NF[getattr(log.split, part)]


def _meta(log: ClickLog, encoder: Encoder, digest: str) -> dict[str, Any]:
    return {
        "name": log.name,
        "rows": {part: len(getattr(log.split, part)) for part in PARTS},
        "click_rate": float(log.clicks_N.mean()),
        "vocabulary_sizes": dict(zip((field.name for field in log.schema.fields), encoder.sizes, strict=True)),
        "items": 0 if log.items is None else len(log.items),
        "group_field": log.group_field,
        "schema_digest": log.schema.digest,
        "teachers": sorted(log.teacher_logits),
        "digest": digest,
        "source": log.source,
    }
