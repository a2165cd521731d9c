from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service.doctor import store
from service.doctor.finding import Status
from service.events import open_store
from service.events.migrations import LATEST

if TYPE_CHECKING:
    from tests.service.doctor.conftest import Examined


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store as a service leaves it."""
    open_store(f"sqlite:{tmp_path / 'e.db'}", 1000).close()
    return tmp_path / "e.db"


def found(examined: Any, url: Any) -> Any:
    return examined(store.store, events=f"sqlite:{url}" if isinstance(url, Path) else url)


def test_no_store_is_well(examined: Examined) -> None:
    assert found(examined, "")["event store"].status is Status.OK


def test_a_store_to_be_made_is_well_and_not_made(examined: Examined, tmp_path: Path) -> None:
    assert found(examined, tmp_path / "new.db")["event store"].status is Status.OK
    assert not list(tmp_path.iterdir())


def test_a_store_of_this_release_is_well_and_stays_as_it_was(examined: Examined, file: Path) -> None:
    before = file.read_bytes()
    findings = found(examined, file)
    assert {finding.status for finding in findings.values()} == {Status.OK}
    assert findings["schema of the store"].found == f"version {LATEST}"
    assert file.read_bytes() == before


def test_an_empty_file_will_be_migrated(examined: Examined, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert found(examined, tmp_path / "empty.db")["schema of the store"].found == (
        f"version 0, will be brought to {LATEST} at the next start"
    )


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite:", "sqlite:/no/such/directory/e.db", "sqlite:/proc/e.db"])
def test_a_place_where_no_store_can_be_is_a_problem(examined: Examined, url: str) -> None:
    assert found(examined, url)["event store"].status is Status.PROBLEM


def test_another_kind_of_file_is_a_problem(examined: Examined, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database, but more than a hundred bytes long " * 9)
    finding = found(examined, tmp_path / "notes.txt")["event store"]
    assert finding.status is Status.PROBLEM
    assert "file is not a database" in finding.found


def test_a_store_that_somebody_holds_is_a_problem(
    examined: Examined, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_WAIT_S", 0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        finding = found(examined, file)["event store"]
    assert finding.status is Status.PROBLEM
    assert "locked" in finding.found


def test_a_newer_releases_store_is_a_problem(examined: Examined, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as newer:
        newer.execute("INSERT INTO schema_version VALUES (?, 0)", (LATEST + 1,))
    assert found(examined, file)["schema of the store"].status is Status.PROBLEM


def test_little_room_is_a_warning_and_none_a_problem(
    examined: Examined, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(examined, file)["disk of the store"].status is Status.OK
    monkeypatch.setattr(store, "LEAST_FREE", 1 << 60)
    assert found(examined, file)["disk of the store"].status is Status.WARNING
    monkeypatch.setattr(store, "_NO_ROOM", 1 << 60)
    assert found(examined, file)["disk of the store"].status is Status.PROBLEM


def test_a_server_that_is_gone_is_a_problem_without_its_password(examined: Examined) -> None:
    finding = found(examined, "postgresql://me:hunter2@127.0.0.1:9/d")["event store"]
    assert finding.status is Status.PROBLEM
    assert "hunter2" not in finding.found
    assert "\n" not in finding.found
