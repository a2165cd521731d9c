from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet as pq

from service.events.parquet import export
from service.events.records import Loss
from service.events.sql import SqlStore
from service.events.store import Batch
from tests.service.events.builders import ATTRIBUTION_MS, NOW_MS, answered, exposure, feedback, shadow

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


def rows(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pq.read_table(path).to_pylist()
    return found


def test_every_table_becomes_a_file_with_its_rows_in_order_and_types_that_say_what_they_are(
    store: SqlStore, tmp_path: Path
) -> None:
    answers = [answered("r1", [0.25, 0.5], ["a", 1], fallback=True), answered("r2"), answered("r3", [0.125])]
    events = [feedback("r1", "#0", ts_client_ms=NOW_MS), feedback("r1", "#1", ts_server_ms=NOW_MS + ATTRIBUTION_MS + 1)]
    store.write(Batch(exposures=[exposure("r1", arm="a"), exposure("r2")], answers=answers, shadows=[shadow()]))
    store.write(Batch(feedback=[*events, feedback("x", value=2.5)], losses=[Loss(NOW_MS, "answer", 3)]))
    store.add_revision(0, "start", "why", {"default": "student"})
    export(store, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{name}.parquet" for name in ("answer", "exposure", "feedback", "loss", "revision", "shadow")
    ]
    first, second = rows(tmp_path / "out/exposure.parquet")
    assert (first["request_id"], first["arm"], first["ts_ms"], second["request_id"]) == ("r1", "a", NOW, "r2")
    assert first["unit_hash"] == exposure("r1").unit_hash
    found = rows(tmp_path / "out/answer.parquet")
    assert [row["probabilities"] for row in found] == [[0.25, 0.5], [], [0.125]]
    assert [row["items"] for row in found] == ['["a",1]', None, None]
    assert [row["fallback"] for row in found] == [True, False, False]
    found = rows(tmp_path / "out/feedback.parquet")
    assert {(row["candidate"], row["late"]) for row in found} == {("#0", False), ("#1", True), ("#0", None)}
    assert {row["ts_client_ms"] for row in found} == {NOW, None}
    assert {row["value"] for row in found} == {None, 2.5}
    [compared] = rows(tmp_path / "out/shadow.parquet")
    assert (compared["primary_model"], compared["kendall_tau_b"], compared["top_1_flip"]) == ("student@v1", None, True)
    assert [row["dropped"] for row in rows(tmp_path / "out/loss.parquet")] == [3]
    assert [row["document"] for row in rows(tmp_path / "out/revision.parquet")] == ['{"default":"student"}']


def test_an_empty_store_becomes_files_without_rows(store: SqlStore, tmp_path: Path) -> None:
    export(store, tmp_path)
    assert rows(tmp_path / "feedback.parquet") == []
    assert pq.read_schema(tmp_path / "feedback.parquet").names[0] == "request_id"


def test_a_file_has_as_many_row_groups_as_its_rows_need(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.events.parquet.GROUP_ROWS", 100)
    monkeypatch.setattr("service.events.sqlite._CHUNK", 60)
    monkeypatch.setattr("service.events.postgres._CHUNK", 60)
    store.write(Batch(feedback=[feedback(f"r{i:03}") for i in range(250)]))
    told: list[tuple[str, int]] = []
    export(store, tmp_path, lambda table, count: told.append((table, count)))
    assert told == [("feedback", 120), ("feedback", 120), ("feedback", 10)]
    assert [row["request_id"] for row in rows(tmp_path / "feedback.parquet")] == [f"r{i:03}" for i in range(250)]


def test_a_file_that_cannot_be_finished_is_not_seen_and_the_old_one_stays(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(Batch(feedback=[feedback("r1")]))
    export(store, tmp_path)
    store.write(Batch(feedback=[feedback("r2")]))

    def fail(table: str, _rows: int) -> None:
        if table == "feedback":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        export(store, tmp_path, fail)
    assert [row["request_id"] for row in rows(tmp_path / "feedback.parquet")] == ["r1"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
