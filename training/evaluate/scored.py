"""Scored rows: the logits of every model of a run on one part, kept on disk with the digests they belong to.

    {part}_logits.npz      meta (JSON: part, data digest, checkpoint digests), clicks [N], groups [N] and logits [N]
                           per model, float32; those of the click model, where one made the data, float64

While the digests are those of the run's checkpoints, the part is not opened again but for the columns a slicing names.
Price: 4 bytes per row and model.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.bundle import replace_file
from training.checkpoint import Trained
from training.data.batches import TensorRows
from training.data.prepare import Prepared, open_prepared
from training.objective import predict
from training.run import PHASES, Run

Floats = npt.NDArray[np.floating]
Groups = npt.NDArray[np.int32]

BEST_REACHABLE = "best reachable"
"""Stands among the models for the click model that made the data."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """N rows of one part."""

    part: str
    prepared: Prepared
    checkpoints: Mapping[str, str]
    """Phase → digest of its checkpoint."""
    clicks_N: npt.NDArray[np.float32]
    groups_N: Groups | None
    """Ids of the field that rows are ranked within; None if the data has none. Missing and unknown are no group."""
    logits: Mapping[str, Floats]
    """Model, by its phase → logits [N]."""

    def __len__(self) -> int:
        return len(self.clicks_N)


def scored_part(run: Run, part: str) -> Scored:
    """The part, scored by the run's models: as kept, if these very models were kept, else now.

    Raises:
        CheckpointError: a phase has not ended, or its checkpoint is damaged or of other data.
        DataError: the part's rows are missing or damaged.
    """
    models = {phase: run.load(phase) for phase in PHASES}
    prepared = open_prepared(run.directory / "data")
    path = run.directory / f"{part}_logits.npz"
    checkpoints = {phase: trained.digest for phase, trained in models.items()}
    meta = {"part": part, "data": prepared.digest, "group_field": prepared.group_field, "checkpoints": checkpoints}
    try:
        arrays = _read(path.read_bytes(), meta)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        arrays = _score(prepared, part, models)
        replace_file(path, _npz(arrays, meta))
    logits = {name.removeprefix("logits "): array for name, array in arrays.items() if name.startswith("logits ")}
    return Scored(
        part=part,
        prepared=prepared,
        checkpoints=checkpoints,
        clicks_N=arrays["clicks"],
        groups_N=arrays.get("groups"),
        logits=logits,
    )


def _score(prepared: Prepared, part: str, models: Mapping[str, Trained]) -> dict[str, npt.NDArray[Any]]:
    rows = TensorRows.of(prepared.rows(part))
    arrays: dict[str, npt.NDArray[Any]] = {"clicks": rows.clicks_N.numpy()}
    if prepared.group_field is not None:
        arrays["groups"] = prepared.column(part, prepared.group_field)
    for phase, trained in models.items():
        arrays[f"logits {phase}"] = predict(trained.model, rows.ids_NF).numpy()
    true_N = prepared.true_probability(part)
    if true_N is not None:
        arrays[f"logits {BEST_REACHABLE}"] = np.log(true_N) - np.log1p(-true_N)
    return arrays


def _npz(arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, meta=np.array(json.dumps(meta)), **arrays)
    return content.getvalue()


def _read(content: bytes, meta: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file with this very meta; raises ValueError or its like if it is damaged or of other models."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        if json.loads(str(file["meta"])) != meta:
            raise ValueError("logits of other models")
        return {name: file[name] for name in file.files if name != "meta"}
