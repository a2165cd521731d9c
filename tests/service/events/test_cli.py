from __future__ import annotations

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.__main__ import cli
from service.events.sql import SqlStore
from service.events.store import Batch
from tests.service.events.builders import exposure, feedback

DAY_MS = 86_400_000


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["events", *arguments])


def test_info_says_how_much_of_what_is_stored(store: SqlStore, url: str) -> None:
    store.write(Batch(exposures=[exposure("r1"), exposure("r2")], feedback=[feedback("r1"), feedback("nobody")]))
    result = run("info", "--events", url)
    assert result.exit_code == 0, result.output
    assert "2025-10-09 08:53:20 UTC" in result.output
    assert "schema version 1, revision 0" in result.output
    assert "feedback: 0 late, 1 before its exposure was known" in result.output
    assert "secret" not in result.output


def test_the_store_is_the_settings_where_none_is_named(
    store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTR_EVENTS", url)
    store.write(Batch(feedback=[feedback()]))
    assert "1 before its exposure was known" in run("info").output


def test_export_writes_every_table(store: SqlStore, url: str, tmp_path: Path) -> None:
    store.write(Batch(feedback=[feedback()]))
    result = run("export", str(tmp_path / "out"), "--events", url)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 6


def test_export_to_where_nothing_can_be_written_says_so(sqlite_store: SqlStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("export", str(tmp_path / "file"), "--events", sqlite_store.name)
    assert result.exit_code == 1
    assert "cannot be written: File exists; give another directory" in result.output


def test_prune_deletes_what_is_older_than_the_days(store: SqlStore, url: str) -> None:
    now_ms = time.time_ns() // 1_000_000
    ages = {"old": 3 * DAY_MS, "new": DAY_MS}
    store.write(Batch(feedback=[feedback(name, ts_server_ms=now_ms - age) for name, age in ages.items()]))
    result = run("prune", "--days", "2", "--events", url)
    assert result.exit_code == 0, result.output
    assert "1 rows older than" in result.output
    with store.reading() as session:
        assert session.rows("SELECT request_id FROM feedback") == [("new",)]


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/e", "postgresql://u:secret@127.0.0.1:1/e", "sqlite:/no/such/dir/e"]
)
def test_a_store_that_cannot_be_opened_is_one_line(url: str) -> None:
    result = run("info", "--events", url)
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert "secret" not in result.output
