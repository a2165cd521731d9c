"""Scored rows: the logits of every model of a run on one part, kept on disk with the digests they belong to.

    {part}_logits.npz      meta (JSON: part, data digest, checkpoint digests), clicks [N], groups [N] and logits [N]
                           per model, float32; those of the click model, where one made the data, and of several
                           teachers together float64

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
from training.faculty import finished
from training.objective import predict
from training.run import Run
from training.teachers.base import Teacher

Floats = npt.NDArray[np.floating]
Groups = npt.NDArray[np.int32]

TEACHERS = "teachers"
"""Stands among the models for the average logits of several teachers."""
BEST_REACHABLE = "best reachable"
"""Stands among the models for the click model that made the data."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """N rows of one part."""

    part: str
    prepared: Prepared
    checkpoints: Mapping[str, str]
    """Phase, or teacher from elsewhere → digest of its checkpoint."""
    clicks_N: npt.NDArray[np.float32]
    groups_N: Groups | None
    """Ids of the field that rows are ranked within; None if the data has none. Missing and unknown are no group."""
    logits: Mapping[str, Floats]
    """Model, by its phase; teacher from elsewhere; all teachers → logits [N]."""

    def __len__(self) -> int:
        return len(self.clicks_N)


def scored_part(run: Run, part: str) -> Scored:
    """The part, scored by the run's models: as kept, if these very models were kept, else now.

    Raises:
        CheckpointError: a phase has not ended, or its checkpoint is damaged or of other data.
        DataError: the part's rows are missing or damaged.
    """
    prepared = open_prepared(run.directory / "data")
    models, others = evaluated(run, prepared)
    path = run.directory / f"{part}_logits.npz"
    checkpoints = {name: model.digest for name, model in (models | others).items()}
    meta = {"part": part, "data": prepared.digest, "group_field": prepared.group_field, "checkpoints": checkpoints}
    try:
        arrays = _read(path.read_bytes(), meta)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        arrays = _score(prepared, part, models, others)
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


def evaluated(run: Run, prepared: Prepared) -> tuple[dict[str, Trained], dict[str, Teacher]]:
    """The run's models by phase, and its teachers from elsewhere as `teacher NAME`; raises as `scored_part`."""
    models = {phase: run.load(phase) for phase in run.phases}
    others = {f"teacher {each.name}": finished(each, prepared, {}) for each in run.config.teachers if not each.model}
    return models, others


def teacher_logits(logits: Mapping[str, Floats]) -> Floats:
    """The average logits float64 [N] of everything among these that is a teacher of the run."""
    taught = [each for name, each in logits.items() if name.startswith("teach") and name != TEACHERS]
    found: Floats = np.mean([each.astype(np.float64) for each in taught], axis=0)
    return found


def _score(
    prepared: Prepared, part: str, models: Mapping[str, Trained], others: Mapping[str, Teacher]
) -> dict[str, npt.NDArray[Any]]:
    rows = TensorRows.of(prepared.rows(part))
    arrays: dict[str, npt.NDArray[Any]] = {"clicks": rows.clicks_N.numpy()}
    if prepared.group_field is not None:
        arrays["groups"] = prepared.column(part, prepared.group_field)
    logits = {name: teacher.logits(part, rows.ids_NF).numpy() for name, teacher in others.items()}
    logits |= {phase: predict(trained.model, rows.ids_NF).numpy() for phase, trained in models.items()}
    if sum(name.startswith("teach") for name in logits) > 1:
        logits[TEACHERS] = teacher_logits(logits)
    arrays |= {f"logits {name}": each for name, each in logits.items()}
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
