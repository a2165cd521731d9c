"""Files of a bundle: read only if they are what they seem, replaced in one step or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.bundle.errors import BundleError


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, sync it, rename it over `path`: the old content stays until the new is whole."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.tmp-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file; raises BundleError."""
    check_regular(path)
    with readable(path):
        return path.read_bytes()


def check_regular(path: Path) -> None:
    """Raise BundleError unless there is a regular file: no link, no folder."""
    if path.is_symlink() or not path.is_file():
        found = "a link" if path.is_symlink() else "nothing" if not path.exists() else "no regular file"
        raise BundleError(f"{path}: found {found}, expected a regular file; export again")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """While inside, what the system refuses becomes a BundleError that says what to do."""
    try:
        yield
    except OSError as error:
        raise BundleError(f"{path}: not readable: {error.strerror}; give the service read access to it") from error
