"""Teacher logits on disk: float32, one file per teacher, data and part, so that a heavy teacher is run once.

A file holds both digests and the part in its own metadata. What another teacher or other data left under this name is
refused; a damaged file is made again, for nothing is lost with it.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from training.checkpoint import CheckpointError, load_tensors, save_tensors
from training.progress import console
from training.teachers.base import Teacher

_SHOWN = 16


class CachedTeacher(Teacher):
    """A teacher whose logits of prepared data are computed once.

    Args:
        teacher: the teacher itself.
        folder: where the files stand; made when the first is written.
        data_digest: of the prepared data.
    """

    def __init__(self, teacher: Teacher, folder: Path, data_digest: str) -> None:
        super().__init__(teacher.name, teacher.digest, teacher.fold)
        if not teacher.digest:
            raise ValueError(f"teacher {teacher.name!r} has no digest to know its logits by; expected its checkpoint's")
        self.model, self.knows_all_rows = teacher.model, teacher.knows_all_rows
        self._teacher = teacher
        self._folder = folder
        self._data_digest = data_digest

    def path(self, part: str) -> Path:
        """Where the logits of a part stand."""
        return self._folder / f"{self.digest[:_SHOWN]}-{self._data_digest[:_SHOWN]}-{part}.safetensors"

    def score(self, ids_NF: Tensor) -> Tensor:
        """Logits of any rows, computed now."""
        return self._teacher.score(ids_NF)

    def logits(self, part: str, ids_NF: Tensor) -> Tensor:
        """Logits float32 [N] of a part, read if they are there.

        Raises:
            CheckpointError: the file under this name is another teacher's, or of other data.
        """
        path = self.path(part)
        kept = self._read(path, part, len(ids_NF))
        if kept is not None:
            return kept
        logits_N = self._teacher.logits(part, ids_NF)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(path, {"logits_N": logits_N}, self._meta(part))
        return logits_N

    def _meta(self, part: str) -> dict[str, str]:
        return {"teacher": self.digest, "data": self._data_digest, "part": part}

    def _read(self, path: Path, part: str, rows: int) -> Tensor | None:
        if not path.exists():
            return None
        try:
            tensors, meta = load_tensors(path)
            logits_N = tensors["logits_N"]
        except (CheckpointError, KeyError) as error:
            console.print(f"{path}: damaged ({error}), made again", highlight=False)
            return None
        for what, expected in self._meta(part).items():
            if meta.get(what) != expected:
                raise CheckpointError(
                    f"{path}: logits of {what} {meta.get(what)}, expected those of {what} {expected} (teacher "
                    f"{self.name!r}); remove the file"
                )
        if len(logits_N) != rows:
            raise CheckpointError(f"{path}: {len(logits_N)} logits, {part} has {rows} rows; remove the file")
        return logits_N
