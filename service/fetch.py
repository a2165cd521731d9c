"""Bring a version of a bundle from an object store into a directory, whole and proved or not at all.

    URL/CURRENT              the version to take where none is named
    URL/<version>/           manifest.json and the files it lists, as `export` wrote them

fsspec opens whatever the URL names (s3://, gs://, az://, https://, file://, ...), so there is no client of one store
here. Files are downloaded into a hidden directory and read there by the reader that serves bundles: hashes, shapes and
golden requests are checked before the version gets its name, and CURRENT is replaced after that. A sync tool of the
store would do the copying, but a pod would start on whatever it left behind when it was cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from service.bundle import NAME, BundleError, Manifest, make_current, new_directory, parse_manifest, read_bundle
from service.bundle.versions import CURRENT, MANIFEST

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CONNECT_S = 10
SILENT_S = 60
"""A server that says nothing for so long is given up; a download as a whole may take any time."""
LONGEST = 200

Progress = Callable[[str, int, int], None]
"""Name of a file, its bytes so far, its bytes in all (0 if unknown)."""


class FetchError(Exception):
    """A bundle cannot be fetched; the message is one line: what, what was got, what was expected, what to do."""


class Fetched(NamedTuple):
    """What is CURRENT now."""

    manifest: Manifest
    downloaded: bool
    """False if the version was there before."""


def fetch(url: str, root: Path, version: str | None = None, progress: Progress | None = None) -> Fetched:
    """Make `root` serve a version of the bundle at `url`, downloading it unless it is there already.

    Args:
        url: what fsspec understands, ending where CURRENT and the versions are.
        root: local directory of the versions; made if it does not exist.
        version: the one to take; the one that CURRENT names there if left out.
        progress: told about every piece that has arrived.

    Raises:
        FetchError: nothing under `root` has changed then, but for versions that are whole.
    """
    source = _Source(url)
    version = source.current() if version is None else _checked(version)
    target = root / version
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        downloaded = not target.exists()
        if downloaded:
            _download(source, target, progress)
        manifest = _proved(target)
        _make_current(root, version)
    return Fetched(manifest, downloaded)


class _Source:
    """Versions of a bundle behind a URL."""

    def __init__(self, url: str) -> None:
        self.shown = _without_secrets(url).rstrip("/")
        self._secret = urlsplit(url).netloc.rpartition("@")[0]
        self._files, path = _opened(url, self.shown)
        self._path = path.rstrip("/")

    def current(self) -> str:
        """The version that CURRENT names."""
        name = self.read(CURRENT, "one line with the version to fetch; check the URL, or name a --version")
        version = name.decode(errors="replace").strip()
        if not NAME.fullmatch(version):
            raise FetchError(f"{self.shown}/{CURRENT}: names {version[:80]!r}, expected a version directory beside it")
        return version

    def read(self, name: str, expected: str) -> bytes:
        """The bytes of a small file."""
        with self._asking(name, expected):
            content: bytes = self._files.cat_file(f"{self._path}/{name}")
            return content

    def download(self, name: str, to: Path, progress: Progress | None) -> None:
        """Write a file that the manifest lists to a path, piece by piece."""
        from fsspec.callbacks import Callback  # noqa: PLC0415 - an extra

        hooks = {} if progress is None else {"progress": partial(_tell, progress, to.name)}
        with self._asking(name, "a file that the manifest lists; upload the version whole"):
            self._files.get_file(f"{self._path}/{name}", str(to), callback=Callback(hooks=hooks))

    @contextmanager
    def _asking(self, name: str, expected: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise FetchError(f"{self.shown}/{name}: not found, expected {expected}") from None
        except Exception as error:  # noqa: BLE001 - every store has exceptions of its own
            raise FetchError(
                f"{self.shown}/{name}: cannot be fetched: {_one_line(error, self._secret)}; "
                "check the URL, the credentials and the network, and that there is room on the disk"
            ) from None


def _tell(progress: Progress, name: str, size: int | None, value: int, **_rest: object) -> None:
    progress(name, value, size or 0)


def _opened(url: str, shown: str) -> tuple[AbstractFileSystem, str]:
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra
    except ImportError:
        raise FetchError(
            "fsspec is not installed, expected it for fetching; run `pip install 'kd-dagfm-serving[objects]'`"
        ) from None
    if urlsplit(url).query:
        raise FetchError(f"{shown}: got a query, expected a URL to which names can be added; leave the query out")
    try:
        files, path = url_to_fs(url, **_options(url))
    except ImportError as error:
        raise FetchError(
            f"{shown}: got no package for this kind of store, expected one beside fsspec: {_one_line(error)}; "
            "run `pip install` with the package named"
        ) from None
    except Exception as error:  # every store has exceptions of its own
        raise FetchError(
            f"{shown}: got {_one_line(error)}, expected a URL like s3://bucket/path, https://host/path or "
            "file:///path; correct it"
        ) from error
    return files, path


def _options(url: str) -> dict[str, object]:
    """For aiohttp, which gives a download five minutes by default, however well it goes on."""
    if urlsplit(url).scheme not in {"http", "https"}:
        return {}
    from aiohttp import ClientTimeout  # noqa: PLC0415 - spares who fetches from elsewhere

    return {"client_kwargs": {"timeout": ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S)}}


def _download(source: _Source, target: Path, progress: Progress | None) -> None:
    """Fill `target` with the version of its name."""
    version = target.name
    where = f"{version}/{MANIFEST}"
    content = source.read(where, "the manifest of that version; check the URL and the version")
    try:
        manifest = parse_manifest(f"{source.shown}/{version}", content)
    except BundleError as error:
        raise FetchError(str(error)) from error
    if manifest.version != version:
        raise FetchError(
            f"{source.shown}/{where}: is of version {manifest.version!r}, expected {version!r}; "
            "upload each version under its own name"
        )
    try:
        with new_directory(target) as hidden:
            (hidden / MANIFEST).write_bytes(content)
            for name in sorted(manifest.files):
                source.download(f"{version}/{name}", hidden / name, progress)
            _prove(hidden, f"{source.shown}/{version}")
    except OSError:
        if not target.exists():  # somebody else was faster, which is as good
            raise


def _prove(directory: Path, shown: str) -> None:
    """Read a downloaded version as the service would; what is wrong with it is said of its source."""
    try:
        read_bundle(directory)
    except BundleError as error:
        raise FetchError(str(error).replace(str(directory), shown)) from error


def _proved(target: Path) -> Manifest:
    """The manifest of a version that is there, read whole."""
    try:
        return read_bundle(target).manifest
    except BundleError as error:
        raise FetchError(f"{error}; or remove {target} and fetch again") from error


def _make_current(root: Path, version: str) -> None:
    try:
        make_current(root, version)
    except BundleError as error:
        raise FetchError(str(error)) from error


def _checked(version: str) -> str:
    if not NAME.fullmatch(version):
        raise FetchError(f"version: got {version[:80]!r}, expected to match {NAME.pattern}; name a version's directory")
    return version


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchError(
            f"{root}: cannot be written: {error.strerror or error}; give another directory, access to it, or room"
        ) from error


def _without_secrets(url: str) -> str:
    """The URL without user, password and query: it is printed and logged."""
    parts = urlsplit(url)
    if not parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _one_line(error: BaseException, secret: str = "") -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    reason = reason.replace(f"{secret}@", "") if secret else reason
    return reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
