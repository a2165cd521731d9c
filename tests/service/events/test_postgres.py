from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.events import open_store
from service.events.records import FeedbackStatus
from service.events.sql import SqlStore
from service.events.store import Batch, StoreAwayError, StoreError, StoreFullError
from tests.service.events.builders import ATTRIBUTION_MS, exposure, feedback

if TYPE_CHECKING:
    from tests.service.events.conftest import Postgres


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    with pytest.raises(StoreAwayError, match=r"postgresql://user:\*\*\*@127.0.0.1:1/events cannot be") as raised:
        open_store("postgresql://user:secret@127.0.0.1:1/events", ATTRIBUTION_MS)
    assert "secret" not in str(raised.value)
    assert "start the server" in str(raised.value)


def test_a_connection_that_broke_is_made_again(postgres: Postgres) -> None:
    store = open_store(postgres.new_url(), ATTRIBUTION_MS)
    store.write(Batch(exposures=[exposure()]))
    postgres.stop()
    with pytest.raises(StoreAwayError):
        store.write(Batch(feedback=[feedback()]))
    with pytest.raises(StoreAwayError):
        store.latest_revision()
    postgres.start()
    assert store.write(Batch(feedback=[feedback()])) == [FeedbackStatus.ACCEPTED]
    assert store.latest_revision() == 0
    store.close()


def test_text_that_postgresql_cannot_hold_is_replaced_and_the_record_kept(postgres: Postgres) -> None:
    store = open_store(postgres.new_url(), ATTRIBUTION_MS)
    store.write(Batch(exposures=[exposure()._replace(unit="a\0b")]))
    with store.reading() as session:
        assert session.rows("SELECT unit FROM exposure") == [("a\ufffdb",)]
    store.close()


def test_a_full_disk_is_said_to_be_full_and_reads_go_on(postgres: Postgres) -> None:
    with postgres.small_tablespace() as tablespace:
        store = open_store(postgres.new_url(tablespace), ATTRIBUTION_MS)
        store.write(Batch(feedback=[feedback("first")]))
        with pytest.raises(StoreFullError, match="make room on the server's disk"):
            write_without_end(store)
        with store.reading() as session:
            assert session.rows("SELECT candidate FROM feedback WHERE request_id = 'first'") == [("#0",)]
        store.close()


def write_without_end(store: SqlStore) -> None:
    for i in count():
        store.write(Batch(feedback=[feedback(f"r{i}", f"#{j}") for j in range(2000)]))


def test_a_broken_url_is_refused_without_its_password() -> None:
    with pytest.raises(StoreError) as raised:
        open_store("postgresql://user:secret@[::1/events", ATTRIBUTION_MS)
    assert "secret" not in str(raised.value)


def test_without_its_driver_the_service_still_imports_and_runs_on_sqlite(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from service.events import open_store\n"
        f"open_store('sqlite:{tmp_path}/e', 1).close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
