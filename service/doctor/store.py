"""The event store: there, writable, of this release's schema, with room; nothing in it is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile

from service.doctor.clock import skew
from service.doctor.finding import Finding, Subject, ok, problem, warning
from service.events.migrations import LATEST
from service.events.store import StoreError
from service.events.urls import check_url, without_password

GIB = 1024**3
LEAST_FREE = GIB
"""Bytes on the store's disk below which somebody should look."""
_NO_ROOM = 64 * 1024**2
_WAIT_S = 3
_CHECK = "event store"


def store(subject: Subject) -> Iterator[Finding]:
    """Whatever CTR_EVENTS names."""
    url = subject.settings.events
    if not url:
        yield ok(_CHECK, "none: CTR_EVENTS is empty, so there are no experiments and no feedback")
        return
    try:
        check_url(url)
    except StoreError as error:
        yield problem(_CHECK, str(error), "a store's URL", "correct CTR_EVENTS")
        return
    if url.startswith("sqlite:"):
        yield from _file(Path(url.partition(":")[2]))
    else:
        yield from _server(url)


def _file(path: Path) -> Iterator[Finding]:
    directory = path.parent
    if not directory.is_dir():
        yield problem(_CHECK, f"{directory} is no directory", "one to write to", "make it, or correct CTR_EVENTS")
        return
    todo = "let this user write there, or give another path with CTR_EVENTS"
    try:
        TemporaryFile(dir=directory).close()  # SQLite keeps its log beside the file
    except OSError as error:
        yield problem(_CHECK, f"{directory}: {error.strerror}", "a directory that can be written", todo)
        return
    if path.exists():
        yield from _opened(path)
    else:
        yield ok(_CHECK, f"{path} does not exist yet and will be made")
    yield _room(directory)


def _opened(path: Path) -> Iterator[Finding]:
    """An existing file, opened as the service would, and left as it was."""
    if not os.access(path, os.W_OK):
        yield problem(_CHECK, f"{path} cannot be written by this user", "writable", "change its owner or mode")
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT_S)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            tables = connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_version'").fetchone()
            version = connection.execute("SELECT MAX(version) FROM schema_version").fetchone() if tables[0] else (0,)
    except sqlite3.Error as error:
        todo = "end what holds it, or give a database of this service"
        yield problem(_CHECK, f"{path}: {error}", "a SQLite database that can be written", todo)
        return
    yield ok(_CHECK, f"{path}, {path.stat().st_size / 1024**2:,.1f} MiB, can be written")
    yield _schema(version[0] or 0)


def _room(directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    found, expected = f"{free / GIB:,.1f} GiB free at {directory}", f"at least {LEAST_FREE / GIB:g} GiB"
    todo = "make room, or delete old events: CTR_RETENTION_DAYS, `python -m service events prune`"
    if free < _NO_ROOM:
        return problem("disk of the store", found, expected, todo)
    if free < LEAST_FREE:
        return warning("disk of the store", found, expected, todo)
    return ok("disk of the store", found)


def _server(url: str) -> Iterator[Finding]:
    import psycopg  # noqa: PLC0415 - an extra; `check_url` has found it

    began = time.time()
    try:
        with psycopg.connect(url, connect_timeout=_WAIT_S) as connection:
            asked = (began + time.time()) / 2
            row = connection.execute(_QUERY).fetchone()
            asked = (asked + time.time()) / 2
            assert row is not None  # noqa: S101 - a SELECT of expressions has one row
            there_s, has_table, may_create = row
            found = connection.execute("SELECT MAX(version) FROM schema_version").fetchone() if has_table else None
    except psycopg.Error as error:
        what = f"{without_password(url)}: {' '.join(str(error).split())}"
        yield problem(_CHECK, what, "a server that lets this user in", "start it, or correct CTR_EVENTS")
        return
    yield ok(_CHECK, without_password(url))
    version = 0 if found is None else found[0] or 0
    if version < LATEST and not may_create:
        yield problem("schema of the store", "this user may not make tables", "CREATE on the schema", "GRANT it once")
    else:
        yield _schema(version)
    yield skew("the event store", float(there_s), asked, 0.0)


_QUERY = """
SELECT EXTRACT(EPOCH FROM clock_timestamp()), to_regclass('schema_version') IS NOT NULL,
       has_schema_privilege(current_schema(), 'CREATE')
"""


def _schema(version: int) -> Finding:
    if version > LATEST:
        found = f"version {version}, written by a newer release"
        return problem("schema of the store", found, f"at most {LATEST}", "start the release that wrote it")
    pending = "" if version == LATEST else f", will be brought to {LATEST} at the next start"
    return ok("schema of the store", f"version {version}{pending}")
