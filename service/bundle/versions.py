"""Which version of a bundle is served: one line in CURRENT, and one in PREVIOUS to go back to.

    bundles/student/CURRENT     20261121-1512
    bundles/student/PREVIOUS    20261120-0903      absent until a second version was made current

Both are replaced in one step each, PREVIOUS first: whoever is stopped in between leaves a CURRENT that is served and a
PREVIOUS that equals it, from which nothing can be rolled back by mistake.
"""

from __future__ import annotations

from pathlib import Path

from service.bundle.errors import BundleError
from service.bundle.files import read_regular, replace_file
from service.bundle.manifest import NAME

CURRENT = "CURRENT"
PREVIOUS = "PREVIOUS"
MANIFEST = "manifest.json"


def current_version(root: Path) -> str | None:
    """The version that `root` says is served; None if it is no root, as a version's own directory is none.

    Raises:
        BundleError: CURRENT cannot be read, or names what no version can be called.
    """
    return _named_in(root / CURRENT)


def previous_version(root: Path) -> str:
    """The version that was current before.

    Raises:
        BundleError: there was none, or it is gone; the message says which versions there are.
    """
    previous = _named_in(root / PREVIOUS)
    if previous is None or previous == current_version(root):
        raise BundleError(f"{root}: no version was current before; name one of {_listed(root)}")
    return checked_version(root, previous)


def versions(root: Path) -> list[str]:
    """Every version under `root`, by name."""
    found = (path.parent.name for path in root.glob(f"*/{MANIFEST}"))
    return sorted(name for name in found if NAME.fullmatch(name))


def checked_version(root: Path, version: str) -> str:
    """`version` if `root` has it, found by comparing names and not by joining paths; raises BundleError."""
    if version not in versions(root):
        raise BundleError(f"{root}: has no version {version[:80]!r}, expected one of {_listed(root)}")
    return version


def make_current(root: Path, version: str) -> str | None:
    """Serve `version` from now on; the version served until now, None if there was none.

    Raises:
        BundleError: the folder cannot be written.
    """
    try:
        before = current_version(root)
    except BundleError:
        before = None  # whatever stands there names no version to go back to
    try:
        if before is not None and before != version:
            replace_file(root / PREVIOUS, f"{before}\n".encode())
        replace_file(root / CURRENT, f"{version}\n".encode())
    except OSError as error:
        raise BundleError(
            f"{root}: {CURRENT} cannot be replaced: {error.strerror}; write access is needed where versions are chosen"
        ) from error
    return before


def resolve(path: Path) -> Path:
    """The directory of the version that `path` means: CURRENT's of a root, or itself; raises BundleError."""
    version = current_version(path)
    if version is not None:
        return path / version
    if not (path / MANIFEST).exists():
        raise BundleError(f"{path}: neither {CURRENT} nor {MANIFEST} found; run `make train` or give a bundle's path")
    return path


def _named_in(pointer: Path) -> str | None:
    if not pointer.exists():
        return None
    version = read_regular(pointer).decode(errors="replace").strip()
    if not NAME.fullmatch(version):
        raise BundleError(f"{pointer}: names {version!r}, expected a version directory beside it")
    return version


def _listed(root: Path) -> str:
    return ", ".join(versions(root)) or "none: the folder is empty"
