"""A folder written whole or not at all: under a temporary name, digested as it is written, then renamed."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt


class Folder:
    """The new content of `directory`; what was there stays until `with` ends without an error.

    Only one pass is made over what is written, and arrays need never be whole in memory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._digests: dict[str, Any] = {}
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{self._directory.name}.tmp-"
        self._temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=self._directory.parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if kind is None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._temporary.rename(self._directory)
        else:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Add to the end of a file."""
        if name not in self._files:
            self._files[name] = (self._temporary / name).open("wb")
            self._digests[name] = hashlib.sha256()
        self._files[name].write(content)
        self._digests[name].update(content)

    def begin_array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Begin an .npy file whose rows are then given to `write`, in C order."""
        header = io.BytesIO()
        described = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, described)
        self.write(name, header.getvalue())

    def write_array(self, name: str, array: npt.NDArray[Any]) -> None:
        """An .npy file, whole."""
        self.begin_array(name, array.shape, array.dtype)
        self.write(name, np.ascontiguousarray(array).data.cast("B") if array.size else b"")

    @property
    def digest(self) -> str:
        """SHA-256 over the names and digests of all files so far."""
        digest = hashlib.sha256()
        for name, content in sorted(self._digests.items()):
            digest.update(name.encode() + b"\0" + content.digest())
        return digest.hexdigest()
