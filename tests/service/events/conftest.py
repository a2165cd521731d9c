"""Stores of both kinds, empty for each test: SQLite in a file, PostgreSQL in a private server started for the session.

The server is made from whatever binaries are installed (Debian: `apt-get install postgresql`). Where there are none the
tests that need it are skipped, or fail if REQUIRE_POSTGRES=1 says that they must not be.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.events import open_store
from service.events.sql import SqlStore
from tests.service.events.builders import ATTRIBUTION_MS

_databases = count()


class Postgres:
    """A private server on a socket of its own."""

    def __init__(self, binaries: Path, home: Path) -> None:
        self._binaries = binaries
        self._home = home
        self._user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        if self._user is not None:
            with suppress(KeyError):
                pwd.getpwnam(self._user)
                shutil.chown(home, self._user)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self._home}"
        self._run("pg_ctl", "start", "--wait", "--log", str(self._home / "log"), "--options", options)

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode", mode)

    def url(self, database: str) -> str:
        return f"postgresql://postgres:secret@/{database}?host={self._home}"

    def new_url(self, tablespace: str = "pg_default") -> str:
        """The URL of a new, empty database."""
        name = f"events_{next(_databases)}"
        self._execute(f"CREATE DATABASE {name} TABLESPACE {tablespace}")
        return self.url(name)

    @contextmanager
    def small_tablespace(self) -> Iterator[str]:
        """A tablespace on a file system of 24 MiB; its databases go with it."""
        directory = self._home / "small"
        directory.mkdir()
        with small_disk(directory, 24):
            shutil.chown(directory, self._user)
            self._execute(f"CREATE TABLESPACE small LOCATION '{directory}'")
            yield "small"
            with psycopg.connect(self.url("postgres")) as connection:
                named = connection.execute(
                    "SELECT datname FROM pg_database JOIN pg_tablespace ON dattablespace = pg_tablespace.oid"
                    " WHERE spcname = 'small'"
                )
                databases = [name for (name,) in named]
            for name in databases:
                self._execute(f"DROP DATABASE {name} WITH (FORCE)")
            self._execute("DROP TABLESPACE small")

    def _execute(self, sql: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "--pgdata", str(self._home / "data"), *arguments]
        done = subprocess.run(
            command, user=self._user, cwd=self._home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[None]:
    """A file system of this size on an empty directory; skips the test where mounting is not allowed."""
    mount, umount = shutil.which("mount") or "mount", shutil.which("umount") or "umount"
    command = [mount, "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(directory)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run([umount, "--lazy", str(directory)], check=True)


def _binaries() -> Path | None:
    found = [Path(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.insert(0, Path(on_path).resolve().parent)
    return next((path for path in found if (path / "initdb").exists() and (path / "pg_ctl").exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server; its files are gone afterwards."""
    binaries = _binaries()
    if binaries is None:
        reason = "needs PostgreSQL: initdb and pg_ctl on the PATH or in /usr/lib/postgresql/*/bin"
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(f"{reason}; REQUIRE_POSTGRES=1 says it is there")
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="ctr-postgres-") as home:
        server = Postgres(binaries, Path(home))
        yield server
        server.stop("immediate")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/events.sqlite3"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_url()


OpenStore = Callable[..., SqlStore]


@pytest.fixture
def open_other(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[], SqlStore]]:
    """Opens another empty store of the same kind as `url`."""
    opened: list[SqlStore] = []

    def open_one() -> SqlStore:
        is_file = url.startswith("sqlite:")
        other = f"sqlite:{tmp_path}/other.sqlite3" if is_file else request.getfixturevalue("postgres").new_url()
        opened.append(open_store(other, ATTRIBUTION_MS))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def reopen(url: str) -> Iterator[OpenStore]:
    """Opens the store of this test, as often as asked."""
    opened: list[SqlStore] = []

    def open_one(**options: Any) -> SqlStore:
        opened.append(open_store(url, **{"attribution_ms": ATTRIBUTION_MS, **options}))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: OpenStore) -> SqlStore:
    """An empty store, once of each kind."""
    return reopen()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqlStore]:
    """An empty SQLite store."""
    opened = open_store(f"sqlite:{tmp_path}/events.sqlite3", ATTRIBUTION_MS)
    yield opened
    opened.close()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of 1 MiB."""
    path = tmp_path / "tiny"
    path.mkdir()
    with small_disk(path, 1):
        yield path
