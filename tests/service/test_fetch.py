"""Bundles from real stores: a web server on this machine, its file system, and fsspec's memory."""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec import AbstractFileSystem
from typer.testing import CliRunner

from service.__main__ import cli
from service.bundle import Bundle, read_bundle, write_bundle
from service.fetch import FetchError, fetch

KINDS = ("http", "file", "memory")


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder and remembers what it was asked for."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path.endswith(self.server.cut):  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"half of it")
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing: tests print what they need."""


class Web(ThreadingHTTPServer):
    """A web server over `folder`; a path that ends in `cut` is answered with less than was promised."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(folder)))
        self.asked: list[str] = []
        self.cut: str | tuple[str, ...] = ()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/student"


@pytest.fixture
def store(bundle: Bundle, tmp_path: Path) -> Path:
    """A store's folder with versions v1 and v2 of the student; v2 is current."""
    write_bundle(tmp_path / "store" / "student", bundle)
    second = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, version="v2"))
    write_bundle(tmp_path / "store" / "student", second)
    return tmp_path / "store" / "student"


@pytest.fixture
def web(store: Path) -> Iterator[Web]:
    with Web(store.parent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def url_of(store: Path, web: Web) -> Iterator[Callable[[str], str]]:
    """Kind of store → the URL of the same bundle there."""
    memory = fsspec.filesystem("memory")
    memory.put(str(store), "/models/student", recursive=True)
    urls = {"http": web.url, "file": store.as_uri(), "memory": "memory://models/student/"}
    yield urls.__getitem__
    memory.rm("/models", recursive=True)


def entries(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_the_version_a_store_calls_current_is_fetched_and_current_here(
    url_of: Callable[[str], str], tmp_path: Path, store: Path, kind: str
) -> None:
    root = tmp_path / "bundles" / "student"
    found = fetch(url_of(kind), root)
    assert (found.manifest.model, found.downloaded) == ("tiny-student@v2", True)
    assert read_bundle(root).manifest.version == "v2"
    assert entries(root) == ["CURRENT", "v2"]
    for path in (store / "v2").iterdir():
        assert (root / "v2" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_can_be_named_and_fetching_another_goes_back_and_forth(
    url_of: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    for version in ("v1", "v2", "v1"):
        fetch(url_of(kind), tmp_path / "student", version)
        assert read_bundle(tmp_path / "student").manifest.version == version


def test_what_is_there_is_not_downloaded_again(web: Web, tmp_path: Path) -> None:
    fetch(web.url, tmp_path / "student")
    web.asked.clear()
    assert not fetch(web.url, tmp_path / "student").downloaded
    assert web.asked == ["/student/CURRENT"]
    web.asked.clear()
    assert not fetch(web.url, tmp_path / "student", "v2").downloaded
    assert web.asked == []


def test_a_version_that_was_damaged_here_is_refused_with_what_to_do(web: Web, tmp_path: Path) -> None:
    root = tmp_path / "student"
    fetch(web.url, root, "v1")
    (root / "v1" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(FetchError, match=r"model\.onnx: sha256 is .* or remove .*/v1 and fetch again"):
        fetch(web.url, root, "v1")


def change_byte(version: Path) -> None:
    content = bytearray((version / "vocabulary.json").read_bytes())
    content[7] ^= 1
    (version / "vocabulary.json").write_bytes(bytes(content))


def cut_short(version: Path) -> None:
    (version / "golden.npz").write_bytes((version / "golden.npz").read_bytes()[:-1])


def edit_manifest(version: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((version / "manifest.json").read_text())
    change(manifest)
    (version / "manifest.json").write_text(json.dumps(manifest))


def leave_the_directory(version: Path) -> None:
    edit_manifest(version, lambda manifest: manifest["files"].update({"../../evil": "0" * 64}))


def call_itself_v1(version: Path) -> None:
    edit_manifest(version, lambda manifest: manifest.update(version="v1"))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (change_byte, r"student/v2/vocabulary\.json: sha256 is \w+ over \d+ bytes, the manifest expects"),
    "cut short": (cut_short, r"student/v2/golden\.npz: sha256 is \w+ over \d+ bytes, the manifest expects"),
    "missing": (lambda version: (version / "example.json").unlink(), r"student/v2/example\.json: not found, expected"),
    "no manifest": (lambda version: (version / "manifest.json").unlink(), r"v2/manifest\.json: not found, expected"),
    "no JSON": (lambda version: (version / "manifest.json").write_text("{"), r"v2/manifest\.json"),
    "traversing": (leave_the_directory, r"v2/manifest\.json: lists \['\.\./\.\./evil', .* expected"),
    "misnamed": (call_itself_v1, r"v2/manifest\.json: is of version 'v1', expected 'v2'; upload each version"),
    "no CURRENT": (lambda version: (version.parent / "CURRENT").unlink(), r"student/CURRENT: not found, expected one"),
    "CURRENT leaves": (
        lambda version: (version.parent / "CURRENT").write_text("../v2\n"),
        r"student/CURRENT: names '\.\./v2', expected a version directory",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["http", "file"])
def test_what_is_wrong_in_the_store_is_one_line_and_changes_nothing_here(
    url_of: Callable[[str], str], store: Path, tmp_path: Path, kind: str, fault: str
) -> None:
    root = tmp_path / "here" / "student"
    fetch(url_of(kind), root, "v1")
    break_it, message = FAULTS[fault]
    break_it(store / "v2")
    with pytest.raises(FetchError, match=message) as refused:
        fetch(url_of(kind), root)
    assert "\n" not in str(refused.value)
    assert ".tmp-" not in str(refused.value)
    assert entries(root) == ["CURRENT", "v1"]
    assert read_bundle(root).manifest.version == "v1"
    assert entries(tmp_path / "here") == ["student"]


def test_a_connection_that_breaks_in_the_middle_leaves_nothing(web: Web, tmp_path: Path) -> None:
    web.cut = "model.onnx"
    with pytest.raises(FetchError, match=r"v2/model\.onnx: cannot be fetched: .*; check the URL"):
        fetch(web.url, tmp_path / "student")
    assert entries(tmp_path / "student") == []
    web.cut = ()
    assert fetch(web.url, tmp_path / "student").downloaded


def test_who_stops_it_in_the_middle_finds_no_half_version(url_of: Callable[[str], str], tmp_path: Path) -> None:
    def stop_at_the_model(name: str, _so_far: int, _size: int) -> None:
        if name == "model.onnx":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(url_of("memory"), tmp_path / "student", progress=stop_at_the_model)
    assert entries(tmp_path / "student") == []


def test_progress_ends_at_the_size_of_every_file(web: Web, tmp_path: Path, store: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    fetch(web.url, tmp_path / "student", progress=lambda name, so_far, size: seen.update({name: (so_far, size)}))
    sizes = {path.name: path.stat().st_size for path in (store / "v2").iterdir() if path.name != "manifest.json"}
    assert seen == {name: (size, size) for name, size in sizes.items()}


@pytest.mark.parametrize("version", ["../v1", "/etc", "", "V1", "v1/../v2"])
def test_a_version_that_is_no_name_is_refused_before_anything_is_asked(web: Web, tmp_path: Path, version: str) -> None:
    with pytest.raises(FetchError, match=r"version: got .*, expected to match"):
        fetch(web.url, tmp_path / "student", version)
    assert web.asked == []


def test_a_full_disk_is_one_line_and_leaves_nothing(store: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(FetchError, match=r"cannot be (fetched|written): .*File too large.*room"):
            fetch(store.as_uri(), tmp_path / "student")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert entries(tmp_path / "student") == []


def test_a_directory_that_cannot_be_made_is_one_line(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FetchError, match=r"file/student: cannot be written: Not a directory; give another directory"):
        fetch(store.as_uri(), tmp_path / "file" / "student")


def test_who_is_overtaken_by_another_fetch_of_the_same_version_ends_well_too(
    url_of: Callable[[str], str], store: Path, tmp_path: Path
) -> None:
    """As replicas are that share a volume: the other has finished while this one still downloads."""
    root = tmp_path / "student"

    def be_overtaken(_name: str, _so_far: int, _size: int) -> None:
        if not root.joinpath("v2").exists():
            fetch(store.as_uri(), root)

    assert fetch(url_of("memory"), root, progress=be_overtaken).manifest.version == "v2"
    assert entries(root) == ["CURRENT", "v2"]
    assert read_bundle(root).manifest.version == "v2"


@pytest.mark.parametrize(
    ("module", "url", "message"),
    [
        ("fsspec.core", "file:///models", r"pip install 'kd-dagfm-serving\[objects\]'"),
        ("s3fs", "s3://models/student", r"s3://models/student: got no package .*: Install s3fs .*; run `pip install`"),
    ],
)
def test_a_package_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, url: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(FetchError, match=message):
        fetch(url, tmp_path / "student")


def test_a_url_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"nope://x: got Protocol not known: nope, expected a URL like"):
        fetch("nope://x", tmp_path / "student")


class Leaky(AbstractFileSystem):
    """A store whose client writes the whole URL into its errors."""

    protocol = "leaky"

    def cat_file(self, path: str, **_: object) -> bytes:
        message = f"leaky://ranker:hunter2@{path} is out of order"
        raise ConnectionError(message)


def test_a_password_in_the_url_is_in_no_message(tmp_path: Path) -> None:
    fsspec.register_implementation("leaky", Leaky, clobber=True)
    with pytest.raises(
        FetchError, match=r"leaky://host/student/CURRENT: cannot be fetched: .* out of order"
    ) as refused:
        fetch("leaky://ranker:hunter2@host/student", tmp_path / "student")
    assert "hunter2" not in str(refused.value)


def test_a_signed_url_is_refused_without_being_shown(web: Web, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"student: got a query, expected .*; leave the query out") as refused:
        fetch(f"{web.url}?signature=hunter2", tmp_path / "student")
    assert "hunter2" not in str(refused.value)
    assert web.asked == []


def test_the_command_says_what_is_current_and_fails_with_one_line(store: Path, tmp_path: Path) -> None:
    run = CliRunner()
    done = run.invoke(cli, ["fetch", store.as_uri(), str(tmp_path / "student"), "--version", "v1"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"tiny-student@v1 fetched, proved, and current in {tmp_path / 'student'}\n"
    again = run.invoke(cli, ["fetch", store.as_uri(), str(tmp_path / "student"), "--version", "v1"])
    assert "was there already" in again.stdout
    failed = run.invoke(cli, ["fetch", store.as_uri(), str(tmp_path / "student"), "--version", "v9"])
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1


def test_the_service_does_not_load_the_client_of_stores() -> None:
    code = "import sys, service.__main__; sys.exit('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
