"""A directory that is there whole or not at all: filled in hiding beside its place, synced to disk, renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """An empty hidden directory to fill with files, which becomes `target` when the block ends without an error.

    Raises:
        OSError: what is there cannot be synced, or `target` exists by now and is not empty.
    """
    hidden = Path(tempfile.mkdtemp(prefix=f".{target.name}.tmp-", dir=target.parent))
    try:
        yield hidden
        hidden.chmod(0o755)
        for path in (*hidden.iterdir(), hidden):
            _sync(path)
        hidden.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
