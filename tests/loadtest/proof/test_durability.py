from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadtest.proof.durability import Client, Found, cli, compare
from service.events import open_store
from service.events.records import FeedbackEvent
from service.events.store import Batch

CLI = CliRunner()
CHANCE = random.Random(1)  # noqa: S311 - no secret


def event(request_id: str, kind: str = "click") -> FeedbackEvent:
    return FeedbackEvent(request_id, "#0", kind, None, 1)


def test_a_missing_event_is_lost_and_a_repeat_taken_for_new_is_a_duplicate(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path}/e", 1)
    store.write(Batch(feedback=[event("r1"), event("unacknowledged")]))
    honest, fooled = Client("a", CHANCE), Client("b", CHANCE)
    honest.acknowledged = {("r1", "#0", "click"), ("r2", "#0", "click")}
    fooled._note([{"request_id": "r1", "position": 0, "type": "click"}] * 2, ["unknown", "accepted"])
    assert compare(store, [honest, fooled]) == Found(rows=2, acknowledged=2, lost=1, duplicates=1)
    store.close()


def test_what_was_not_acknowledged_does_not_count_as_such() -> None:
    client = Client("a", CHANCE)
    client._note([{"request_id": "r1", "position": 0, "type": "click"}], ["refused"])
    assert client.acknowledged == set()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_few_kills_lose_nothing(tmp_path: Path, workers: int) -> None:
    where = ["--directory", str(tmp_path), "--out", str(tmp_path / "found.json")]
    result = CLI.invoke(cli, ["--cycles", "2", "--workers", str(workers), "--longest", "0.3", *where])
    assert result.exit_code == 0, result.output
    assert {check["what"]: check["found"] for check in json.loads((tmp_path / "found.json").read_text())} == {
        "acknowledged events lost": "0",
        "duplicates": "0",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
